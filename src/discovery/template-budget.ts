/**
 * How much work one rendering may be: what is rendered for thousands of hosts must not hold up the daemon, whatever
 * lists stand within lists. Counted in steps and not in time, so that the same data give the same result. Pure.
 */
import { type Helper, HelperError, positionOf } from './template-helpers.ts';

/** Rounds of `each`, and tenths of what helpers are given in lists: some 0.2 s. */
export const MAX_STEPS = 200_000;
const ELEMENTS_A_STEP = 10;

/** The block of a helper: renders it for one value. */
type Block = (...values: readonly unknown[]) => unknown;

export class Budget {
  private steps = 0;

  /** `maxLength`: UTF-16 code units that one `each` may come to. */
  constructor(private readonly maxLength: number) {}

  /** The same helper, whose lists count. */
  counted(helper: Helper): Helper {
    return (...args) => {
      const elements = args.reduce<number>((sum, each) => sum + (Array.isArray(each) ? each.length : 0), 0);
      this.spend(1 + elements / ELEMENTS_A_STEP, args.at(-1));
      return helper(...args);
    };
  }

  /** `each`, whose rounds count, and what they come to. It is called with the value of `this` that Handlebars gives it. */
  limited(each: (...values: never[]) => unknown): (this: unknown, context: unknown, options: unknown) => unknown {
    const round = (options: unknown, fn: Block): Block => {
      let length = 0;
      return (...values) => {
        this.spend(1, options);
        const text = fn(...values);
        length += String(text).length;
        if (length > this.maxLength)
          throw new HelperError(`this renders to more than ${this.maxLength} bytes`, positionOf(options));
        return text;
      };
    };
    return function (context, options) {
      const fn: unknown = typeof options === 'object' && options !== null ? Reflect.get(options, 'fn') : undefined;
      if (typeof options !== 'object' || typeof fn !== 'function') return Reflect.apply(each, this, [context, options]);
      const block: Block = (...values) => Reflect.apply(fn, undefined, values);
      return Reflect.apply(each, this, [context, { ...options, fn: round(options, block) }]);
    };
  }

  private spend(steps: number, options: unknown): void {
    this.steps += steps;
    if (this.steps > MAX_STEPS)
      throw new HelperError(
        `it takes more than ${MAX_STEPS} steps: there are too many lists within lists`,
        positionOf(options),
      );
  }
}
