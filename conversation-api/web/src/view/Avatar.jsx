import { hueOf, initials } from "./people.js";

/** A person's initials; customers are round, colleagues are square. The name stands beside it, so it is not read out. */
export function Avatar({ name, colleague = false, size = "medium" }) {
  const shape = colleague ? "square" : "round";
  return (
    <span class={`avatar ${shape} ${size} hue-${hueOf(name)}`} title={name} aria-hidden="true">
      {initials(name)}
    </span>
  );
}
