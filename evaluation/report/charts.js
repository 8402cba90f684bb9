// Values under the pointer, or under the arrow keys, for every chart of the page.
"use strict";
for (const svg of document.querySelectorAll("svg[data-traces]")) {
  const traces = JSON.parse(svg.dataset.traces);
  const steps = [...new Set(traces.flatMap(trace => trace.points.map(point => point[0])))].sort((a, b) => a - b);
  const places = new Map(traces.flatMap(trace => trace.points.map(point => [point[0], point[2]])));
  const cursor = svg.querySelector(".cursor");
  const output = svg.parentElement.querySelector("output");
  const resting = output.textContent;
  let index = steps.length - 1;

  // A curve without a value at this very step tells its nearest one.
  function nearest(points, step) {
    return points.reduce((best, point) => Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best);
  }
  function show(chosen) {
    index = Math.max(0, Math.min(steps.length - 1, chosen));
    const step = steps[index];
    const x = places.get(step);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    output.textContent = `step ${step.toLocaleString("en")}: ` +
      traces.map(trace => `${trace.name} ${nearest(trace.points, step)[1]}`).join(", ");
  }
  function rest() {
    cursor.setAttribute("x1", -9);
    cursor.setAttribute("x2", -9);
    output.textContent = resting;
  }
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    show(steps.reduce((best, step, i) =>
      Math.abs(places.get(step) - x) < Math.abs(places.get(steps[best]) - x) ? i : best, 0));
  });
  svg.addEventListener("pointerleave", rest);
  svg.addEventListener("blur", rest);
  svg.addEventListener("keydown", event => {
    const moves = {ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: steps.length - 1};
    if (event.key in moves) {
      event.preventDefault();
      show(moves[event.key]);
    }
  });
}
