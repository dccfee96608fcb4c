/** Moving a deal: one request, asked for what it takes before, put back and told where it fails. */

import { ask, sheet } from "./dialog";
import { refresh, refreshTo } from "./live";
import { type Problem, type Told, freshId, post, text } from "./server";
import { toast } from "./toast";

export interface Move {
  deal: string;
  into: string;
  /** The stage in which the reader saw it. */
  expecting: string;
  /** When it had come there: it may have left since, and come back. */
  entered: string;
  properties?: Record<string, string>;
  id?: string;
  act?: string;
  /** Where its pages are, from this one. */
  folder?: string;
  /** What is told beside the result. */
  hint?: string;
}

/** Move a deal, and return whether it was moved; where it was not, `back` has put its card back. */
export async function move(asked: Move, back: () => void = () => {}): Promise<boolean> {
  const { act = "move", folder = "", hint = "", ...told } = asked;
  const answer = await post(folder + act, { id: freshId(), ...told });
  if (answer.ok) {
    done(asked.deal, answer.told, hint, folder);
    return true;
  }
  back();
  return refused(asked, answer.problem);
}

function done(deal: string, told: Told, hint: string, folder: string): void {
  const event = told.undo;
  const offer = event ? { label: text("undo"), act: () => void undo(deal, event, folder) } : undefined;
  toast(`${told.message ?? ""} ${hint}`.trim(), offer ? { offer } : {});
  refreshTo(deal);
}

async function undo(deal: string, event: string, folder: string): Promise<void> {
  const answer = await post(`${folder}undo`, { deal, event, id: freshId() });
  if (answer.ok) toast(answer.told.message ?? "");
  else toast(answer.problem.detail, { bad: true });
  refreshTo(deal);
}

async function refused(asked: Move, problem: Problem): Promise<boolean> {
  if (problem.missing?.length) return sheet(asked.deal, asked.into, asked.folder);
  if (problem.stale && problem.settled) {
    toast(problem.detail);
    void refresh();
    return false;
  }
  if (problem.stale && problem.expecting) {
    const { expecting, entered = "" } = problem;
    void refresh();
    if (!(await ask(problem.detail, text("anyway")))) return false;
    return move({ ...asked, expecting, entered });
  }
  const again = problem.status === 0 || problem.status === 503;
  const offer = { label: text("again"), act: () => void move(asked) };
  toast(problem.detail, again ? { bad: true, offer } : { bad: true });
  if (!again) void refresh();
  return false;
}
