/** Waiting for something that is told by a callback, and can be ended. */
import type { Watch } from './store.ts';

/**
 * Resolves with what the function that `open` is given is called with first; rejects with the signal's reason. What `open`
 * answers is closed then.
 */
export function untilCalled<T = void>(signal: AbortSignal, open: (done: (value: T) => void) => Watch): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    let watch: Watch | undefined;
    let over = false;
    const end = () => {
      over = true;
      signal.removeEventListener('abort', onAbort);
      watch?.close();
    };
    const onAbort = () => {
      end();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    watch = open((value) => {
      if (over) return;
      end();
      resolve(value);
    });
    if (over) watch.close();
  });
}
