import { partsOf } from "../formatting.js";

const ELEMENTS = { bold: "strong", italic: "em", struck: "s" };

/** What somebody wrote. It is only ever text within elements that are made here. */
export const Text = ({ text }) => <>{partsOf(text).map(toElement)}</>;

function toElement({ kind, text, parts }, index) {
  if (kind === "text") return text;
  if (kind === "mono") return <code key={index}>{text}</code>;
  if (kind === "link") return <a key={index} href={text} target="_blank" rel="noopener noreferrer" dir="ltr">{text}</a>;
  const Element = ELEMENTS[kind];
  return <Element key={index}>{parts.map(toElement)}</Element>;
}
