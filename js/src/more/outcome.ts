/** What there is to say of an engine that is compared. Pure. */
import type { Told } from "./told.ts";

const REASONS: Readonly<Record<string, string>> = {
  arrived: "Arrived",
  near: "As near as it gets",
  stalled: "No nearer",
  capped: "Reached its limit",
};

export function outcome({ status, why, reason, step, seconds, distance }: Told["compared"]): string {
  const steps = `${step} ${step === 1 ? "step" : "steps"}`;
  const left = distance === null ? "" : `, ${distance.toFixed(1)} px left`;
  switch (status) {
    case "waits":
      return "Waits for its turn";
    case "runs":
      return `Pulling: ${steps}${left}`;
    case "failed":
      return why;
    case "cancelled":
      return step > 0 ? `Cancelled after ${steps}${left}` : "Cancelled";
    case "done":
      return `${REASONS[reason ?? ""] ?? "Ended"} after ${steps}, ${seconds.toFixed(1)} s${left}`;
  }
}
