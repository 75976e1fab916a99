/** Exit codes of all commands: success, no, wrong usage or configuration, ZooKeeper unreachable. */
export const EXIT = { ok: 0, no: 1, usage: 2, unreachable: 3 } as const;
