// What happened in each of the last seconds, by the proxy's clock: a ring of bins. What nobody added to is zero.

export const SECONDS = 120;

export class History {
  #bins = new Float64Array(SECONDS + 2);
  #newest = 0;

  add(second, amount) {
    if (second > this.#newest) {
      const first = Math.max(this.#newest + 1, second - this.#bins.length + 1);
      for (let bin = first; bin <= second; bin += 1) this.#bins[bin % this.#bins.length] = 0;
      this.#newest = second;
    }
    if (second > this.#newest - this.#bins.length) this.#bins[second % this.#bins.length] += amount;
  }

  at(second) {
    if (second < 0 || second > this.#newest || second <= this.#newest - this.#bins.length) return 0;
    return this.#bins[second % this.#bins.length];
  }

  // A second's average over the `span` whole seconds before `second`.
  average(second, span) {
    let sum = 0;
    for (let bin = second - span; bin < second; bin += 1) sum += this.at(bin);
    return sum / span;
  }

  // The points of a plot that ends with the last whole second before `second`, each over two seconds: frames come
  // twice a second, and now and then one of them falls into the next. What is not `known` of a second is NaN.
  points(second, known) {
    const points = new Array(SECONDS);
    for (let index = 0; index < SECONDS; index += 1) {
      const bin = second - SECONDS + index;
      points[index] = known(bin) ? (this.at(bin) + this.at(bin - 1)) / 2 : NaN;
    }
    return points;
  }
}
