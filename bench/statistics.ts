/** The three figures that a row of samples is summed up in. */

export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly p90: number;
  readonly max: number;
}

/** Percentiles by nearest rank (no interpolation: every figure is one that was measured). Throws without samples. */
export function summarise(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number) => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    if (value === undefined) throw new Error('nothing was measured');
    return value;
  };
  return { count: sorted.length, median: at(0.5), p90: at(0.9), max: at(1) };
}
