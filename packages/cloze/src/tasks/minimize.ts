// Limited-memory BFGS (Nocedal, 1980): for smooth functions of many numbers whose gradient is exact.

export interface MinimizeOptions {
  /** Stops where no number of the gradient is further from 0. Default 1e-6. */
  tolerance?: number;
  /** Default 1000. */
  iterations?: number;
  /** Steps that the curvature is estimated from. Default 10. */
  memory?: number;
}

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  readonly iterations: number;
  /** The tolerance was reached. */
  readonly converged: boolean;
}

/** Gives the value at x and writes the gradient. */
export type Objective = (x: Float64Array, gradient: Float64Array) => number;

function dot(a: Float64Array, b: Float64Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
}

/** to = from + scale * step */
function along(to: Float64Array, from: Float64Array, step: Float64Array, scale: number): void {
  for (let i = 0; i < to.length; i++) to[i] = from[i] + scale * step[i];
}

const largest = (x: Float64Array): number => x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** 1 / (step . change) */
  readonly scale: number;
}

/** Minus the gradient times the estimated inverse Hessian, by the two loops. */
function directionOf(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const direction = gradient.map((value) => -value);
  const factors: number[] = [];
  for (let i = pairs.length - 1; i >= 0; i--) {
    const { step, change, scale } = pairs[i];
    factors[i] = scale * dot(step, direction);
    along(direction, direction, change, -factors[i]);
  }
  const last = pairs.at(-1);
  if (last !== undefined) {
    const size = 1 / (last.scale * dot(last.change, last.change));
    for (let i = 0; i < direction.length; i++) direction[i] *= size;
  }
  pairs.forEach(({ step, change, scale }, i) => {
    along(direction, direction, step, factors[i] - scale * dot(change, direction));
  });
  return direction;
}

/**
 * Minimises a smooth function from a starting point. The step along a direction meets the weak Wolfe conditions, found
 * by doubling and halving, so that the estimate of the curvature stays positive.
 *
 * @example
 * const { x } = minimize((x, gradient) => { gradient[0] = 2 * x[0]; return x[0] ** 2; }, Float64Array.of(3));
 */
export function minimize(
  objective: Objective,
  start: Float64Array,
  { tolerance = 1e-6, iterations = 1000, memory = 10 }: MinimizeOptions = {},
): Minimum {
  let x = Float64Array.from(start);
  let gradient = new Float64Array(x.length);
  let value = objective(x, gradient);
  const pairs: Pair[] = [];
  for (let iteration = 0; iteration < iterations; iteration++) {
    if (largest(gradient) <= tolerance) return { x, value, iterations: iteration, converged: true };
    const direction = directionOf(gradient, pairs);
    const slope = dot(gradient, direction);
    let [low, high] = [0, Number.POSITIVE_INFINITY];
    // Before there is a curvature, a step as long as the gradient may be far too long.
    let size = pairs.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
    const nextX = new Float64Array(x.length);
    const nextGradient = new Float64Array(x.length);
    let next = value;
    let found = false;
    for (let attempt = 0; attempt < 60 && !found; attempt++) {
      along(nextX, x, direction, size);
      next = objective(nextX, nextGradient);
      if (!(next <= value + 1e-4 * size * slope)) high = size;
      else if (dot(nextGradient, direction) < 0.9 * slope) low = size;
      else found = true;
      if (!found) size = high === Number.POSITIVE_INFINITY ? 2 * low : (low + high) / 2;
    }
    // Numbers have no room left for a better one.
    if (!found) return { x, value, iterations: iteration, converged: false };
    const step = nextX.map((to, i) => to - x[i]);
    const change = nextGradient.map((to, i) => to - gradient[i]);
    const curvature = dot(step, change);
    if (curvature > 0) {
      if (pairs.length === memory) pairs.shift();
      pairs.push({ step, change, scale: 1 / curvature });
    }
    [x, gradient, value] = [nextX, nextGradient, next];
  }
  return { x, value, iterations, converged: largest(gradient) <= tolerance };
}
