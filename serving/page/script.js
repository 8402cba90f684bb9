// Speaks by the server's OpenAI route: sound and the times of words arrive as events, and play while they are made.
// Texts reach the page by textContent only.

const at = (id) => document.getElementById(id);
const form = at("form"), fields = ["text", "voice", "speaker", "speed", "pitch", "seed"];
const EXAMPLE = '<speak>Call <say-as interpret-as="telephone">555-0123</say-as>. <break time="500ms"/> ' +
  '<prosody rate="80%">Slowly, please.</prosody></speak>';
let voices = [], speech = null;

// --- what is asked for

function request() {
  const voice = voices.find((each) => each.name === at("voice").value);
  const speaker = at("speaker").value.trim();
  return {
    model: "vits", input: at("text").value, voice: voice ? voice.name : undefined,
    speaker: voice && voice.speakers.length && speaker ? speaker : undefined,
    speed: Number(at("speed").value), pitch_semitones: Number(at("pitch").value) || undefined,
    seed: Number(at("seed").value || Math.floor(Math.random() * 2 ** 31)),
    sample_rate: voice ? voice.rate : undefined,
  };
}

function headers() {
  const key = at("key").value;
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

function show(id, text) {
  at(id).textContent = text;
  at(id).hidden = !text;
}

function showCode(asked) {
  const { sample_rate, ...sent } = asked;
  const url = new URL("v1/audio/speech", location.href).href.replace(/#.*/, "");
  const body = JSON.stringify({ ...sent, response_format: "wav" });
  const quoted = "'" + body.replaceAll("'", "'\\''") + "'";
  const key = at("key").value ? " -H 'Authorization: Bearer KEY'" : "";
  at("curl").textContent = `curl -s ${url} -H 'Content-Type: application/json'${key} -d ${quoted} > speech.wav`;
  const { model, input, voice, speed, ...more } = JSON.parse(JSON.stringify(sent));
  at("python").textContent = `from openai import OpenAI

client = OpenAI(base_url="${url.replace("/audio/speech", "")}", api_key="${at("key").value ? "KEY" : "none"}")
answer = client.audio.speech.create(
    model="${model}", voice=${JSON.stringify(voice)}, speed=${speed}, response_format="wav",
    input=${JSON.stringify(input)},
    extra_body=${JSON.stringify(more)})
answer.write_to_file("speech.wav")`;
}

function linkTo(asked) {
  const values = { ...asked, text: asked.input, pitch: asked.pitch_semitones };
  const hash = new URLSearchParams(fields.filter((name) => values[name] !== undefined)
    .map((name) => [name, values[name]]));
  return location.href.replace(/#.*/, "") + "#" + hash;
}

function readLink() {
  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    if (fields.includes(name)) at(name).value = value;
  }
  showNumbers();
  showSpeakers();
}

// --- the stream of events

async function* events(response) {
  const reader = response.body.getReader(), decoder = new TextDecoder();
  for (let rest = ""; ;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
    if (done) return;
  }
}

// --- one text that is being spoken

class Speech {
  constructor(asked) {
    this.asked = asked;
    this.abort = new AbortController();
    this.samples = []; // Int16Array each
    this.marks = []; // {span, start, end} in seconds
    this.odd = new Uint8Array(0); // a byte of a sample that is not whole yet
    this.seconds = 0;
    this.cursor = 0; // in the text: behind the last word that was found
    this.rest = document.createTextNode(asked.input.trimStart().startsWith("<speak") ? "" : asked.input);
    at("words").replaceChildren(this.rest);
  }

  async run() {
    const response = await fetch("v1/audio/speech", {
      method: "POST", headers: headers(), signal: this.abort.signal,
      body: JSON.stringify({ ...this.asked, response_format: "pcm", stream_format: "sse", timings: true }),
    });
    if (!response.ok) {
      at("key-field").hidden &&= response.status !== 401;
      const answer = await response.json().catch(() => null);
      throw new Error(answer?.error?.message ?? `the server answered with status ${response.status}`);
    }
    this.rate = Number(response.headers.get("X-Sample-Rate"));
    this.context = new AudioContext({ sampleRate: this.rate });
    this.context.resume();
    let isWhole = false;
    for await (const event of events(response)) {
      if (event.type === "speech.audio.delta") this.play(event.audio);
      else if (event.type === "speech.timings") this.addWords(event.words);
      else if (event.type === "error") throw new Error(event.error.message);
      else if (event.type === "speech.audio.done") isWhole = true;
    }
    if (!isWhole) throw new Error("the connection broke off before the end");
    this.isWhole = true;
  }

  play(base64) {
    const arrived = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const bytes = new Uint8Array(this.odd.length + arrived.length);
    bytes.set(this.odd);
    bytes.set(arrived, this.odd.length);
    const even = bytes.length - (bytes.length % 2);
    this.odd = bytes.slice(even);
    if (!even) return;
    const view = new DataView(bytes.buffer, 0, even), samples = new Int16Array(even / 2);
    for (let i = 0; i < samples.length; i++) samples[i] = view.getInt16(2 * i, true);
    const buffer = this.context.createBuffer(1, samples.length, this.rate);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    const due = (this.begun ?? 0) + this.seconds;
    if (this.begun === undefined || due < this.context.currentTime) {
      // The first piece; or one that came too late, after which everything is later.
      this.begun = this.context.currentTime + 0.05 - this.seconds;
      if (!this.seconds) requestAnimationFrame(() => this.tick());
    }
    source.start(this.begun + this.seconds);
    this.samples.push(samples);
    this.seconds += samples.length / this.rate;
    drawWave(this);
  }

  addWords(words) {
    const text = this.asked.input;
    for (const { text: word, start, end } of words) {
      const place = this.rest.data ? text.indexOf(word, this.cursor) : -1;
      const span = document.createElement("span");
      span.textContent = word;
      if (place >= 0 && place < this.cursor + 400) {
        this.rest.before(text.slice(this.cursor, place), span);
        this.cursor = place + word.length;
        this.rest.data = text.slice(this.cursor);
      } else {
        this.rest.before(span, " ");
      }
      this.marks.push({ span, start, end });
    }
  }

  get position() {
    return this.context ? this.context.currentTime - this.begun : 0;
  }

  tick() {
    if (speech !== this) return;
    const now = this.position;
    for (const { span, start, end } of this.marks) span.classList.toggle("lit", start <= now && now < end);
    drawWave(this, now);
    if (this.isWhole && now >= this.seconds) end("Spoken.");
    else requestAnimationFrame(() => this.tick());
  }

  close() {
    this.abort.abort();
    this.context?.close();
    for (const { span } of this.marks) span.classList.remove("lit");
  }
}

// --- pictures and files

function drawWave(spoken, now) {
  const { samples, seconds } = spoken;
  const canvas = at("wave"), pen = canvas.getContext("2d"), { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = getComputedStyle(canvas).color;
  if (spoken.drawn !== samples.length) { // once a piece, not once a picture
    spoken.peaks = peaksOf(samples, width);
    spoken.drawn = samples.length;
  }
  spoken.peaks.forEach((peak, x) => pen.fillRect(x, height / 2 * (1 - peak), 1, Math.max(1, height * peak)));
  if (now !== undefined && seconds) pen.fillRect(Math.min(1, now / seconds) * width, 0, 3, height);
}

function peaksOf(samples, width) {
  const n = samples.reduce((sum, each) => sum + each.length, 0), step = Math.max(1, n / width);
  const peaks = new Float32Array(width);
  let place = 0;
  for (const piece of samples) {
    for (let i = 0; i < piece.length; i += 4, place += 4) {
      const column = Math.min(width - 1, Math.floor(place / step));
      peaks[column] = Math.max(peaks[column], Math.abs(piece[i]) / 32768);
    }
    place += piece.length - 4 * Math.ceil(piece.length / 4);
  }
  return peaks;
}

function wavOf({ samples, rate }) {
  const n_bytes = 2 * samples.reduce((sum, each) => sum + each.length, 0), head = new DataView(new ArrayBuffer(44));
  const text = (place, letters) => [...letters].forEach((each, i) => head.setUint8(place + i, each.charCodeAt(0)));
  text(0, "RIFF");
  head.setUint32(4, 36 + n_bytes, true);
  text(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // channel
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  text(36, "data");
  head.setUint32(40, n_bytes, true);
  return new Blob([head, ...samples], { type: "audio/wav" });
}

// --- what the buttons do

async function speak() {
  end("");
  show("error", "");
  const asked = request(), own = new Speech(asked);
  speech = own;
  at("stop").disabled = false;
  at("download").hidden = at("link").hidden = true;
  show("status", "Speaking ...");
  showCode(asked);
  try {
    await own.run();
    at("download").href = URL.createObjectURL(wavOf(own));
    at("link").href = linkTo(asked);
    at("download").hidden = at("link").hidden = false;
    if (!own.seconds) end("There is nothing to speak in this text.");
  } catch (error) {
    if (speech !== own) return; // stopped
    show("error", error.message);
    end("");
  }
}

function end(message) {
  speech?.close();
  speech = null;
  at("stop").disabled = true;
  show("status", message);
  at("status").hidden = false;
}

function showNumbers() {
  for (const name of ["speed", "pitch"]) at(`${name}-value`).textContent = at(name).value;
}

function showSpeakers() {
  const voice = voices.find((each) => each.name === at("voice").value);
  at("mix").hidden = !voice?.speakers.length;
  at("speakers").replaceChildren(...(voice?.speakers ?? []).map((name) => new Option(name, name)));
  at("words").lang = voice?.language ?? "";
}

async function loadVoices() {
  const { voices: listed } = await (await fetch("v1/audio/voices")).json();
  for (const { id, language, sample_rate } of listed) {
    const [name, ...speaker] = id.split("/"), known = voices.find((each) => each.name === name);
    const voice = known ?? { name, rate: sample_rate, language: language.replace("_", "-"), speakers: [] };
    if (speaker.length) voice.speakers.push(speaker.join("/"));
    if (!known) voices.push(voice);
  }
  at("voice").replaceChildren(...voices.map(({ name, language }) => new Option(`${name} (${language})`, name)));
}

form.addEventListener("submit", (event) => { event.preventDefault(); speak(); });
form.addEventListener("input", showNumbers);
at("voice").addEventListener("change", () => { at("speaker").value = ""; showSpeakers(); });
at("stop").addEventListener("click", () => end("Stopped."));
at("example").addEventListener("click", () => { at("text").value = EXAMPLE; at("text").focus(); });
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form.reportValidity()) speak();
  if (event.key === "Escape" && speech) end("Stopped.");
});
addEventListener("hashchange", readLink);
loadVoices().then(readLink).catch((error) => show("error", `the voices could not be listed: ${error.message}`));
