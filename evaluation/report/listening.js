// A listening test: draws the listener's order, lets nobody answer before the end of a sound, and makes a file.
"use strict";
const plan = JSON.parse(document.getElementById("data").textContent);
const stage = document.getElementById("trial");
const news = document.getElementById("news");
const seed = Number(new URLSearchParams(location.hash.slice(1)).get("seed")) ||
  crypto.getRandomValues(new Uint32Array(1))[0];
const draw = generator(seed);
const started = new Date().toISOString();
const answers = [];
let playing = null;  // the sound that plays: {audio, stop}
let trials = [];
let place = 0;

// A small generator of numbers in [0, 1), the same everywhere for the same seed (Marsaglia's xorshift, 32 bits).
function generator(start) {
  let state = (start >>> 0) || 1;
  return () => {
    state ^= state << 13; state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5; state >>>= 0;
    return state / 4294967296;
  };
}
for (let i = 0; i < 8; i++) {
  draw();  // neighbouring seeds start alike
}
function shuffled(list) {
  const copy = [...list];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// One screen each: MOS asks about single sounds, ABX about each item twice, with X once the one and once the other.
function screens() {
  if (plan.kind === "mos") {
    return shuffled(plan.trials.flatMap(trial => trial.sounds.map(sound => ({...trial, sounds: [sound]}))));
  }
  if (plan.kind === "abx") {
    return shuffled(plan.trials.flatMap(trial => trial.sounds.map(x => ({...trial, sounds: shuffled(trial.sounds), x}))));
  }
  return shuffled(plan.trials.map(trial => ({...trial, sounds: shuffled(trial.sounds)})));
}

// A line with a button that plays a sound from its start to its end; there is no way to skip.
function soundRow(label, sound, heard) {
  const audio = new Audio(plan.sounds[sound]);
  const button = element("button", {type: "button", "data-sound": label}, `Play ${label}`);
  const state = element("span", {class: "heard"}, "not heard yet");
  function stop() {
    audio.pause();
    audio.currentTime = 0;
    button.textContent = `Play ${label}`;
    playing = null;
  }
  button.addEventListener("click", () => {
    const isThis = playing && playing.audio === audio;
    if (playing) {
      playing.stop();
    }
    if (!isThis) {
      playing = {audio, stop};
      button.textContent = `Stop ${label}`;
      audio.play().catch(error => {
        news.textContent = `This sound does not play here (${error.message}).`;
        stop();
      });
    }
  });
  audio.addEventListener("ended", () => {
    stop();
    state.textContent = "heard";
    heard(label);
  });
  return element("div", {class: "sound"}, button, state);
}

function show() {
  if (playing) {
    playing.stop();
  }
  if (place === trials.length) {
    finish();
    return;
  }
  const trial = trials[place];
  const next = element("button", {type: "button", class: "main", id: "next"}, "Next");
  next.disabled = true;
  const waiting = new Set();
  const given = {};
  const fields = element("fieldset", {id: "answer"}, element("legend", {}, plan.question));
  fields.disabled = true;
  const rows = element("div", {class: "sounds"});
  function heard(label) {
    waiting.delete(label);
    if (waiting.size === 0) {
      fields.disabled = false;
      rows.querySelectorAll("input").forEach(input => { input.disabled = false; });
      news.textContent = "You can answer now.";
    }
    check();
  }
  function add(label, sound) {
    waiting.add(label);
    const row = soundRow(label, sound, heard);
    rows.append(row);
    return row;
  }
  let needed;
  function check() {
    next.disabled = waiting.size > 0 || Object.keys(given).length < needed;
  }
  function choice(value, label, key) {
    const input = element("input", {type: "radio", name: "choice", value, "data-key": key});
    input.addEventListener("change", () => { given.choice = value; check(); });
    fields.append(element("label", {class: "choice"}, input, label));
  }
  if (plan.kind === "mos") {
    needed = 1;
    add("Sound", trial.sounds[0]);
    ["bad", "poor", "fair", "good", "excellent"].forEach((label, i) => choice(`${i + 1}`, `${i + 1} ${label}`, `${i + 1}`));
  } else if (plan.kind === "abx") {
    needed = 1;
    ["A", "B"].forEach((label, i) => add(label, trial.sounds[i]));
    add("X", trial.x);
    ["A", "B"].forEach((label, i) => choice(trial.sounds[i], `X is ${label}`, label.toLowerCase()));
  } else {
    needed = trial.sounds.length;
    fields.append(element("p", {}, "Move every slider: 0 to 20 bad, 20 to 40 poor, 40 to 60 fair, 60 to 80 good, 80 to 100 excellent."));
    add("Reference", trial.reference);
    trial.sounds.forEach((sound, i) => {
      const label = `Sound ${i + 1}`;
      const slider = element("input", {type: "range", min: 0, max: 100, value: 0, "aria-label": `Rating of ${label}`});
      const output = element("output", {}, "–");
      slider.disabled = true;
      slider.addEventListener("input", () => {
        given[sound] = Number(slider.value);
        output.textContent = slider.value;
        check();
      });
      add(label, sound).append(slider, output);
    });
  }
  next.addEventListener("click", () => {
    answers.push(plan.kind === "mushra" ? {ratings: given}
      : plan.kind === "mos" ? {ratings: {[trial.sounds[0]]: Number(given.choice)}}
      : {sounds: trial.sounds, x: trial.x, choice: given.choice});
    place += 1;
    show();
  });
  const title = element("h2", {tabindex: "-1"}, `${place + 1} of ${trials.length}`);
  const text = trial.text ? [element("p", {}, `“${trial.text}”`)] : [];
  stage.replaceChildren(title, ...text, ...(plan.kind === "mushra" ? [fields, rows] : [rows, fields]),
    element("div", {class: "steps"}, next,
      element("progress", {value: place, max: trials.length, "aria-label": "Progress"})));
  news.textContent = "Listen to every sound to its end; then you can answer.";
  title.focus();
  check();
}

function finish() {
  const content = {
    test: plan.test, kind: plan.kind, listener: document.getElementById("listener").value, listener_id: `${started}-${seed}`,
    seed, started, finished: new Date().toISOString(), answers,
  };
  const file = new Blob([JSON.stringify(content, null, 1)], {type: "application/json"});
  const name = `answers_${plan.test.slice(0, 6)}_${seed}.json`;
  const link = element("a", {href: URL.createObjectURL(file), download: name, id: "save", class: "button"}, "Save your answers");
  link.addEventListener("click", () => {
    removeEventListener("beforeunload", warn);
    news.textContent = `Saved as ${name}. Please send this file back.`;
  });
  const title = element("h2", {tabindex: "-1"}, "Thank you");
  stage.replaceChildren(title, element("p", {}, "Save the file and send it to who asked you."), element("p", {}, link));
  news.textContent = "";
  title.focus();
}

function warn(event) {
  event.preventDefault();
}
document.getElementById("start").addEventListener("click", () => {
  addEventListener("beforeunload", warn);
  trials = screens();
  document.getElementById("intro").hidden = true;
  stage.hidden = false;
  show();
});

// 1 to 5, or A and B, choose; Enter goes on. Not while a name is being written.
document.addEventListener("keydown", event => {
  if (event.target.matches("input[type=text]") || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  const input = stage.querySelector(`input[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (input && !input.matches(":disabled")) {
    input.focus();
    input.click();
  } else if (event.key === "Enter" && !event.target.matches("button, a")) {
    const next = document.getElementById("next");
    if (next && !next.disabled) {
      next.click();
    }
  }
});
