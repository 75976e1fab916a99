/** What programs that run on the harness have in common: how they are interrupted, and how they end. */

/** Aborted by the first Ctrl-C or SIGTERM; a second one ends the process, and the lab's guardian tidies up. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

/** Runs a program with the arguments of the command line; `main` answers the exit status. */
export function runProgram(main: (args: readonly string[]) => Promise<number>): void {
  // Until it is known better: one that ends without a word has failed.
  process.exitCode = 1;
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      console.error(error instanceof Error ? error.message : String(error));
    },
  );
}
