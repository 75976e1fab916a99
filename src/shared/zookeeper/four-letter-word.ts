/** ZooKeeper's administrative commands of four letters (`srvr`, `ruok`, `mntr`, `stat`): plain text over the client port. */
import { connect } from 'node:net';

/** More than any answer of a server that behaves; a peer that sends more is cut off. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/**
 * Sends `word` to a server and answers its whole reply. Rejects when there is no complete reply within `deadlineMs`
 * (real time), when nothing listens, or when the reply is absurdly long; the message names server and word.
 */
export function fourLetterWord(host: string, port: number, word: string, deadlineMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const socket = connect({ host, port });
    const timer = setTimeout(() => fail(`no complete answer within ${deadlineMs} ms`), deadlineMs);
    const fail = (why: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(`ZooKeeper server ${host}:${port}, command ${word}: ${why}`));
    };
    socket.on('connect', () => socket.write(word));
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) fail(`more than ${MAX_ANSWER_BYTES} bytes in answer`);
    });
    socket.on('end', () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    socket.on('error', (error) => fail(error.message));
  });
}
