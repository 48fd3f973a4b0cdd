// Canvas: plots of the last two minutes and the bars of a spread. Colours are the style sheet's.

let palette = null;
addEventListener("themechange", () => { palette = null; });

function colours() {
  if (!palette) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    palette = { line: read("--accent"), second: read("--second"), bad: read("--bad"), faint: read("--faint") };
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

// Draws one or two series (arrays of numbers of the same length), the first filled. `least` is the smallest full scale.
export function drawPlot(canvas, series, least) {
  const prepared = prepare(canvas);
  if (!prepared) return;
  const { context, width, height } = prepared;
  const top = Math.max(least, ...series.map((points) => Math.max(...points))) * 1.1;
  const { line, second, faint } = colours();
  context.strokeStyle = faint;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, height - 0.5);
  context.lineTo(width, height - 0.5);
  context.stroke();
  series.forEach((points, index) => {
    const colour = index ? second : line;
    context.beginPath();
    points.forEach((value, at) => {
      const x = (at / (points.length - 1)) * width;
      context.lineTo(x, height - 1 - (value / top) * (height - 3));
    });
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.stroke();
    if (index) return;
    context.lineTo(width, height);
    context.lineTo(0, height);
    context.globalAlpha = 0.14;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  });
}

// Draws a bar for each value (0 to 1); `marks` says which are bad (failing) or faint (drained).
export function drawBars(canvas, values, marks) {
  const prepared = prepare(canvas);
  if (!prepared || !values.length) return;
  const { context, width, height } = prepared;
  const { line, bad, faint } = colours();
  const step = Math.min(14, width / values.length);
  const bar = Math.max(1, step - (step > 4 ? 3 : step > 2 ? 1 : 0));
  values.forEach((value, index) => {
    const tall = Math.max(2, value * (height - 1));
    context.fillStyle = marks[index] === "bad" ? bad : value > 0.01 ? line : faint;
    context.beginPath();
    context.roundRect(index * step, height - tall, bar, tall, Math.min(2, bar / 2));
    context.fill();
  });
}
