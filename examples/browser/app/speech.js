// Text to samples: espeak-ng makes phonemes, the voice's own symbol table makes ids, the graph makes the waveform.

const MARKS = /(\s*(?:[;:!?¡¿—…"«»“”]|(?<![0-9])[,.]|[,.](?![0-9]))+\s*)/;
const WRITTEN_OUT = [[/\bDr\./g, "Doctor"], [/\bMr\./g, "Mister"], [/\bMrs\./g, "Missis"],
  [/\bSt\. (?=[A-Z])/g, "Saint "], [/\be\.g\./g, "for example"], [/\bi\.e\./g, "that is"], [/(\d):(\d\d)\b/g, "$1 $2"],
  [/\s*&\s*/g, " and "]];

export class Voice {
  // ort: onnxruntime-web; session: of voice.onnx; about: voice.json; espeak: its factory; wasm: its compiled module.
  constructor({ ort, session, about, espeak, wasm }) {
    Object.assign(this, { ort, session, about, espeak, wasm });
    this.idOf = new Map(about.symbols.map((symbol, id) => [symbol, id]));
  }

  static async load(ort, espeak, base) {
    ort.env.wasm.numThreads = 1; // more need two headers from the web server
    ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", base).href };
    const get = async (name) => {
      const response = await fetch(new URL(name, base));
      if (!response.ok) throw new Error(`${name}: the server answered with status ${response.status}`);
      return response;
    };
    const about = await (await get("voice.json")).json();
    const wasm = await WebAssembly.compile(await (await get("espeak-ng.wasm")).arrayBuffer());
    const session = await ort.InferenceSession.create(new Uint8Array(await (await get("voice.onnx")).arrayBuffer()));
    return new Voice({ ort, session, about, espeak, wasm });
  }

  sentences(text) {
    const written = WRITTEN_OUT.reduce((rest, [pattern, words]) => rest.replace(pattern, words), text);
    const parts = new Intl.Segmenter(this.about.language, { granularity: "sentence" }).segment(written);
    return [...parts].map(({ segment }) => segment.trim()).filter((each) => /[\p{L}\p{N}]/u.test(each));
  }

  // Phonemes in IPA with the marks of the text in their places.
  async phonemes(sentence) {
    const pieces = sentence.replace(/\s+/g, " ").split(MARKS);
    for (let i = 0; i < pieces.length; i += 2) pieces[i] = pieces[i].trim() ? await this.#spoken(pieces[i]) : "";
    const joined = pieces.join("").trim();
    return this.about.text_cleaners.includes("decomposed") ? joined.normalize("NFD") : joined;
  }

  async #spoken(text) {
    const engine = await this.espeak({
      // The space keeps a text that begins with "-" from being an option.
      arguments: ["--phonout", "phonemes", "-q", "-b", "1", "--ipa", "-v", this.about.language, ` ${text}`],
      instantiateWasm: (imports, done) => {
        WebAssembly.instantiate(this.wasm, imports).then((instance) => done(instance, this.wasm));
        return {};
      },
    });
    const answer = engine.FS.readFile("phonemes", { encoding: "utf8" });
    return answer.replace(/\([^)]+\)|-/g, "").replace(/\s+/g, " ").trim();
  }

  // Ids, and the symbols that the voice's table lacks, which are left out.
  ids(phonemes) {
    const { add_blank, begin_end } = this.about, missing = new Set(), ids = add_blank ? [0] : [];
    for (const symbol of phonemes) {
      if (!this.idOf.has(symbol)) missing.add(symbol);
      else ids.push(this.idOf.get(symbol), ...(add_blank ? [0] : []));
    }
    const [begin, end] = (begin_end ?? []).map((symbol) => this.idOf.get(symbol));
    return { ids: begin_end ? [begin, ...ids, end] : ids, missing: [...missing] };
  }

  // Samples of -1 to 1. Noise that is not given is drawn by the graph.
  // noise: {prior: [channels * frames], duration: [2 * ids]}, channels first.
  async samples(ids, { speed = 1, variation = 0.667, rhythm = 0.8, noise = {} } = {}) {
    const { Tensor } = this.ort, { inputs } = this.about;
    const floats = (values, channels) => new Tensor("float32", values, [1, channels, values.length / channels]);
    const feeds = {
      text_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
      scales: new Tensor("float32", [variation, 1 / speed, rhythm], [3]),
      prior_noise: floats(noise.prior ?? new Float32Array(0), inputs.prior_noise[1]),
      given_durations: new Tensor("int64", new BigInt64Array(0), [1, 0]),
    };
    if (inputs.duration_noise) feeds.duration_noise = floats(noise.duration ?? new Float32Array(0), 2);
    return (await this.session.run(feeds, ["wav"])).wav.data;
  }
}
