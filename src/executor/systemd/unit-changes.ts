/**
 * From systemd's PropertiesChanged signals to changes of state of services. The cheapest check comes first: most signals
 * on a host concern units that nobody here cares about.
 */
import { isUnitName } from '../../shared/names.ts';
import type { ActiveState } from '../../shared/state.ts';
import { type BusSignal, variantValue } from './bus.ts';
import { activeState } from './decode.ts';
import { isServicePath, unitOfPath } from './unit-path.ts';

export interface UnitChange {
  /** Name that systemd uses, and the aliases under which it was listed. */
  readonly names: readonly [string, ...string[]];
  /** It was asked for by one of them since the connection was made. */
  readonly listed: boolean;
  readonly active: ActiveState;
  readonly sub: string;
}

export class UnitChanges {
  /** Name that systemd uses → other names under which the unit was listed; signals tell only the former. */
  readonly #aliases = new Map<string, Set<string>>();
  /** Names that systemd uses of the units that were listed. */
  readonly #listed = new Set<string>();
  /** Last state told of each unit that is not inactive, by object path: a signal comes for other changes, too. */
  readonly #told = new Map<string, string>();

  /** The unit that was asked for by one name has another, or the same. */
  learnName(asked: string, real: string): void {
    this.#listed.add(real);
    if (asked !== real) {
      const aliases = this.#aliases.get(real) ?? new Set();
      this.#aliases.set(real, aliases.add(asked));
    }
    for (const [name, aliases] of this.#aliases) {
      if (name !== real && aliases.delete(asked) && aliases.size === 0) this.#aliases.delete(name);
    }
  }

  /** Forgets what was told: signals were missed. */
  forget(): void {
    this.#told.clear();
    this.#listed.clear();
  }

  /** The change that a signal tells; undefined when it is none, or not of a service. Never throws. */
  read(signal: BusSignal): UnitChange | undefined {
    if (!isServicePath(signal.path)) return undefined;
    const changed = signal.body[1];
    if (typeof changed !== 'object' || changed === null) return undefined;
    const active = variantValue(Reflect.get(changed, 'ActiveState'));
    const sub = variantValue(Reflect.get(changed, 'SubState'));
    if (typeof active !== 'string' || typeof sub !== 'string') return undefined;
    const state = `${active} ${sub}`;
    if (this.#told.get(signal.path) === state) return undefined;
    // An inactive unit may be unloaded without another signal: remembering it would grow without bound.
    if (active === 'inactive') this.#told.delete(signal.path);
    else this.#told.set(signal.path, state);
    const unit = unitOfPath(signal.path);
    if (unit === undefined || !isUnitName(unit)) return undefined;
    const names = [unit, ...(this.#aliases.get(unit) ?? [])] as const;
    return { names, listed: this.#listed.has(unit), active: activeState(active), sub };
  }
}
