/** Checks of exclusive templates: one instance per host, and nothing unplaced or moved that a free host could have had. */
import { type DeclaredUnit, type Facts, isExclusive, mayCome, mayStay, type Violation } from './facts.ts';

export function checkTemplates(facts: Facts): Violation[] {
  const templates = new Map<string, DeclaredUnit[]>();
  for (const unit of facts.units.values()) {
    if (!isExclusive(unit)) continue;
    const others = templates.get(unit.service.name);
    if (others === undefined) templates.set(unit.service.name, [unit]);
    else others.push(unit);
  }
  return [...templates.values()].flatMap((units) => checkTemplate(units, facts));
}

/** Forced keys come before counts of 1, and these before all others. */
function rank(unit: DeclaredUnit): 1 | 2 | 3 {
  if (unit.force !== undefined) return 3;
  return unit.count === 1 ? 2 : 1;
}

function checkTemplate(units: readonly DeclaredUnit[], facts: Facts): Violation[] {
  const violations: Violation[] = [];
  const occupants = new Map<string, DeclaredUnit>();
  for (const unit of units) {
    for (const host of unit.placed) {
      const other = occupants.get(host);
      if (other === undefined) occupants.set(host, unit);
      else violations.push(about(unit, host, `${other.unit} of the same exclusive template has the host`));
    }
  }
  const template = new Template(occupants, facts);
  for (const unit of units) {
    if (unit.placed.size < (unit.count ?? 0) && template.canWin(unit, rank(unit))) {
      const message = `${unit.unit} lacks instances, but a host is free for it or has a unit of lower rank`;
      violations.push({ unit: unit.unit, host: undefined, message });
    }
    violations.push(...checkDisplaced(unit, occupants, template, facts));
  }
  return violations;
}

function about(unit: DeclaredUnit, host: string, what: string): Violation {
  return { unit: unit.unit, host, message: `${unit.unit} on ${host}: ${what}` };
}

/** No instance gave way to a new one that could have had a free host, or the host that the displaced one went to. */
function checkDisplaced(
  unit: DeclaredUnit,
  occupants: ReadonlyMap<string, DeclaredUnit>,
  template: Template,
  facts: Facts,
): Violation[] {
  const arrivals = [...unit.placed].filter((host) => !unit.previous.has(host));
  if (unit.placed.size === unit.count && arrivals.length === 0) return [];
  const violations: Violation[] = [];
  for (const host of unit.previous) {
    const by = occupants.get(host);
    if (by === undefined || by === unit || by.previous.has(host) || !mayStay(unit, facts.hosts.get(host))) continue;
    if (template.canWin(by, 1))
      violations.push(about(unit, host, `displaced by ${by.unit}, which could have a free host`));
    const swap = arrivals.find((to) => mayStay(by, facts.hosts.get(to)) || mayCome(by, facts.hosts.get(to)));
    if (swap !== undefined)
      violations.push(about(unit, host, `displaced by ${by.unit}, which could have ${swap} instead`));
  }
  return violations;
}

type Rank = ReturnType<typeof rank>;

/** Who has the hosts of one template, and who could win which. */
class Template {
  readonly #occupants: ReadonlyMap<string, DeclaredUnit>;
  readonly #facts: Facts;
  /** Ready hosts that are free or whose unit has a lower rank than this one. */
  readonly #readyBelow: Record<Rank, number> = { 1: 0, 2: 0, 3: 0 };
  readonly #answers = new Map<string, boolean>();

  constructor(occupants: ReadonlyMap<string, DeclaredUnit>, facts: Facts) {
    this.#occupants = occupants;
    this.#facts = facts;
    for (const host of facts.hosts.values()) {
      if (host.state !== 'ready') continue;
      for (const each of [1, 2, 3] as const) if (this.#rankOn(host.name) < each) this.#readyBelow[each] += 1;
    }
  }

  /** True when the unit could take some host that is free, or whose unit has a lower rank than `below`. */
  canWin(unit: DeclaredUnit, below: Rank): boolean {
    const question = `${below} ${unit.unit}`;
    const answer = this.#answers.get(question) ?? this.#findOut(unit, below);
    this.#answers.set(question, answer);
    return answer;
  }

  #findOut(unit: DeclaredUnit, below: Rank): boolean {
    const hosts = this.#facts.hosts;
    const opens = (name: string) => {
      const host = hosts.get(name);
      return this.#isBelow(name, below) && !unit.placed.has(name) && (mayStay(unit, host) || mayCome(unit, host));
    };
    if (unit.force !== undefined) return opens(unit.force);
    const closed = new Set([...unit.excluded.keys(), ...unit.placed]);
    const ready = [...closed].filter((name) => hosts.get(name)?.state === 'ready' && this.#isBelow(name, below));
    if (this.#readyBelow[below] > ready.length) return true;
    return [...unit.previous, ...unit.running].some(opens);
  }

  #isBelow(host: string, below: Rank): boolean {
    return this.#rankOn(host) < below;
  }

  /** 0: the host is free. */
  #rankOn(host: string): number {
    const occupant = this.#occupants.get(host);
    return occupant === undefined ? 0 : rank(occupant);
  }
}
