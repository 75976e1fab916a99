/** Paths of znodes: which are allowed, and how a path below the chroot becomes a path on the server. */
/** First and last code unit of what ZooKeeper refuses in a path (PathUtils.validatePath of ZooKeeper 3.8). */
const FORBIDDEN = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xd800, 0xf8ff],
  [0xfff0, 0xffff],
] as const;

function isForbidden(codeUnit: number): boolean {
  return FORBIDDEN.some(([first, last]) => codeUnit >= first && codeUnit <= last);
}

/** Why `path` is not an absolute path of a znode, or undefined when it is one. */
export function pathFault(path: string): string | undefined {
  if (!path.startsWith('/')) return 'it does not begin with a slash';
  if (path === '/') return undefined;
  const parts = path.slice(1).split('/');
  if (parts.includes('')) return 'it ends with a slash or holds an empty name';
  if (parts.includes('.') || parts.includes('..')) return 'it holds a relative name';
  if (path.split('').some((character) => isForbidden(character.charCodeAt(0))))
    return 'it holds a character that ZooKeeper does not allow';
  return undefined;
}

/** The path that holds `path`; `/` for the first level and for `/` itself. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}

/** Translates between paths below a chroot (`/members`) and paths on the server (`/servicewatcher/members`). */
export class Chroot {
  private readonly prefix: string;

  /** `chroot`: absolute; `/` or empty for none. Throws when it is not a path. */
  constructor(chroot: string) {
    const path = chroot === '' ? '/' : chroot;
    const fault = pathFault(path);
    if (fault !== undefined)
      throw new Error(`zookeeper.chroot ${JSON.stringify(chroot)} is no path of a znode: ${fault}`);
    this.prefix = path === '/' ? '' : path;
  }

  /** All levels of the chroot, the highest first. */
  levels(): string[] {
    const names = this.prefix.split('/').slice(1);
    return names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`);
  }

  toServer(path: string): string {
    return path === '/' ? this.prefix || '/' : this.prefix + path;
  }

  /** Undefined for a path that is not below the chroot. */
  fromServer(path: string): string | undefined {
    if (this.prefix === '') return path;
    if (path === this.prefix) return '/';
    return path.startsWith(`${this.prefix}/`) ? path.slice(this.prefix.length) : undefined;
  }
}
