// Canvas: plots of the last two minutes and the bars of a spread. Colours are the style sheet's.

let palette = null;
addEventListener("themechange", () => { palette = null; });

function colours() {
  if (!palette) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    palette = { line: read("--accent"), second: read("--second"), bad: read("--bad"), faint: read("--faint"), quiet: read("--quiet") };
  }
  return palette;
}

// The context of a canvas that is as sharp as the screen, cleared; null while it is not shown.
function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const scale = devicePixelRatio || 1;
  const [pixelsWide, pixelsHigh] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== pixelsWide || canvas.height !== pixelsHigh) {
    canvas.width = pixelsWide;
    canvas.height = pixelsHigh;
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// Draws one or two series (arrays of numbers of the same length), the first filled. `least` is the smallest full scale,
// `words` says a number as people read it. Where a number is NaN, nothing is known and nothing is drawn.
export function drawPlot(canvas, series, least, words) {
  const prepared = prepare(canvas);
  if (!prepared) return;
  const { context, width, height } = prepared;
  const most = Math.max(0, ...series.flat().filter((value) => !Number.isNaN(value)));
  const top = Math.max(least, most) * 1.1;
  const { line, second, faint, quiet } = colours();
  context.strokeStyle = faint;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, height - 0.5);
  context.lineTo(width, height - 0.5);
  context.stroke();
  series.forEach((points, index) => {
    const colour = index ? second : line;
    for (const run of knownRuns(points)) {
      const places = run.map(([at, value]) => [(at / (points.length - 1)) * width,
        height - 1 - (value / top) * (height - 3)]);
      context.beginPath();
      places.forEach(([x, y]) => context.lineTo(x, y));
      context.strokeStyle = colour;
      context.lineWidth = 1.5;
      context.lineJoin = "round";
      context.stroke();
      if (index) continue;
      context.lineTo(places.at(-1)[0], height);
      context.lineTo(places[0][0], height);
      context.globalAlpha = 0.14;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 1;
    }
  });
  label(context, `${words(most)} max`, 0, 10, quiet);
  label(context, "−2 min", 0, height - 3, quiet);
}

// The stretches of points of which something is known, as [place, value].
function knownRuns(points) {
  const runs = [[]];
  points.forEach((value, at) => {
    if (!Number.isNaN(value)) runs.at(-1).push([at, value]);
    else if (runs.at(-1).length) runs.push([]);
  });
  return runs.filter((run) => run.length);
}

function label(context, text, x, y, colour) {
  context.font = "10px system-ui, sans-serif";
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

// Draws a bar for each value (0 to 1), half of which is its fair share; `marks` says which are bad (failing) or pale (too
// few connections to say much).
export function drawBars(canvas, values, marks) {
  const prepared = prepare(canvas);
  if (!prepared || !values.length) return;
  const { context, width, height } = prepared;
  const { line, bad, faint, quiet } = colours();
  const step = Math.min(14, width / values.length);
  const bar = Math.max(1, step - (step > 4 ? 3 : step > 2 ? 1 : 0));
  values.forEach((value, index) => {
    const tall = Math.max(2, value * (height - 1));
    context.globalAlpha = marks[index] === "pale" ? 0.4 : 1;
    context.fillStyle = marks[index] === "bad" ? bad : value > 0.01 ? line : faint;
    context.beginPath();
    context.roundRect(index * step, height - tall, bar, tall, Math.min(2, bar / 2));
    context.fill();
  });
  context.globalAlpha = 1;
  context.fillStyle = quiet;
  context.fillRect(0, Math.round(height / 2), values.length * step, 1);
}
