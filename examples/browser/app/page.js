// The page: one sentence is synthesized while the one before is played.

import * as ort from "./ort.wasm.bundle.min.mjs";
import espeak from "./espeak-ng.js";
import { Voice } from "./speech.js";

const PAUSE = 0.2; // seconds between sentences
const at = (id) => document.getElementById(id);
let voice, context, run = 0;

async function speak() {
  stop("");
  at("error").textContent = "";
  const own = run, rate = voice.about.sampling_rate, made = [];
  context = new AudioContext({ sampleRate: rate });
  context.resume();
  at("stop").disabled = false;
  at("download").hidden = true;
  at("status").textContent = "Speaking ...";
  let due = 0, n_played = 0, isWhole = false;
  for (const sentence of voice.sentences(at("text").value)) {
    const { ids, missing } = voice.ids(await voice.phonemes(sentence));
    if (missing.length) at("error").textContent = `The voice has no symbol for ${missing.join(" ")}: left out.`;
    const samples = await voice.samples(ids, { speed: Number(at("speed").value) });
    await new Promise((done) => setTimeout(done)); // the stop button's turn
    if (own !== run) return;
    const buffer = context.createBuffer(1, samples.length, rate), source = context.createBufferSource();
    buffer.copyToChannel(samples, 0);
    source.buffer = buffer;
    source.connect(context.destination);
    due = Math.max(due, context.currentTime + 0.05);
    source.start(due);
    due += buffer.duration + PAUSE;
    made.push(samples, new Float32Array(Math.round(PAUSE * rate)));
    source.onended = () => {
      n_played++;
      if (own === run && isWhole && n_played === made.length / 2) stop("Spoken.");
    };
  }
  isWhole = true;
  if (!made.length) return stop("There is nothing to speak in this text.");
  if (n_played === made.length / 2) stop("Spoken.");
  at("download").href = URL.createObjectURL(wavOf(made, rate));
  at("download").hidden = false;
}

function stop(message) {
  run++;
  context?.close();
  context = null;
  at("stop").disabled = true;
  at("status").textContent = message;
}

function wavOf(pieces, rate) {
  const samples = Int16Array.from(pieces.flatMap((piece) => [...piece]), (x) => 32767 * Math.max(-1, Math.min(1, x)));
  const head = new DataView(new ArrayBuffer(44));
  const letters = (place, text) => [...text].forEach((each, i) => head.setUint8(place + i, each.charCodeAt(0)));
  letters(0, "RIFF");
  head.setUint32(4, 36 + samples.byteLength, true);
  letters(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // channel
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  letters(36, "data");
  head.setUint32(40, samples.byteLength, true);
  return new Blob([head, samples], { type: "audio/wav" });
}

const fail = (error) => { stop(""); at("error").textContent = error.message; };
at("form").addEventListener("submit", (event) => { event.preventDefault(); speak().catch(fail); });
at("stop").addEventListener("click", () => stop("Stopped."));
at("speed").addEventListener("input", () => { at("speed-value").textContent = at("speed").value; });

try {
  voice = await Voice.load(ort, espeak, location.href);
  at("speak").disabled = false;
  at("status").textContent = "Ready.";
  if (navigator.serviceWorker) {
    await navigator.serviceWorker.register("worker.js");
    await navigator.serviceWorker.ready;
    at("status").textContent = "Ready, also without a network.";
  }
} catch (error) { fail(error); }
