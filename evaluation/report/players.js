// One sound at a time: a player that starts stops the others.
"use strict";
document.addEventListener("play", event => {
  for (const player of document.querySelectorAll("audio")) {
    if (player !== event.target) {
      player.pause();
    }
  }
}, true);
