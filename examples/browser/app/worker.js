// Keeps the example's files, so that it works without a network after the first visit.

const CACHE = "vits-1"; // another name makes browsers fetch every file again
const FILES = ["./", "page.js", "speech.js", "style.css", "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm",
  "espeak-ng.js", "espeak-ng.wasm", "voice.onnx", "voice.json"];

addEventListener("install", (event) => event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES))));
addEventListener("activate", (event) => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name.startsWith("vits-") && name !== CACHE) await caches.delete(name);
  await clients.claim();
})()));
addEventListener("fetch", (event) => event.respondWith((async () =>
  (await (await caches.open(CACHE)).match(event.request, { ignoreSearch: true })) ?? fetch(event.request))()));
