import { useState } from "preact/hooks";

const keyOf = ({ name, language }) => `${name} ${language}`;

/** Chooses a template that WhatsApp has approved, and fills in what it leaves open. */
export function TemplatePicker({ conversationId, customer, templates: { data }, desk }) {
  const [chosen, setChosen] = useState(keyOf(data[0]));
  const [values, setValues] = useState([]);
  const template = data.find((template) => keyOf(template) === chosen) ?? data[0];
  const parameters = Array.from({ length: template.parameters }, (_, index) => (values[index] ?? "").trim());
  const isComplete = parameters.every((value) => value !== "");
  const filled = filledIn(template.body, parameters);

  function submit(event) {
    event.preventDefault();
    if (!isComplete) return;
    const { name, language } = template;
    desk.send(conversationId, { type: "template", content: filled, template: { name, language, parameters } });
    setValues([]);
  }

  return (
    <form class="template-form" onSubmit={submit}>
      <label>
        Template
        <select value={chosen} onChange={(event) => { setChosen(event.target.value); setValues([]); }}>
          {data.map((template) => <option key={keyOf(template)} value={keyOf(template)}>{template.name} ({template.language})</option>)}
        </select>
      </label>
      {parameters.map((_, index) => (
        <label key={index}>
          {`Text for {{${index + 1}}}`}
          <input value={values[index] ?? ""} maxLength={200} dir="auto" autocomplete="off"
            onInput={(event) => setValues(Object.assign([...values], { [index]: event.target.value }))} />
        </label>
      ))}
      <p class="preview" dir="auto"><span class="unseen">What {customer} will read: </span>{filled}</p>
      <button class="primary" disabled={!isComplete}>Send template</button>
    </form>
  );
}

/** The text with its parameters; those that are missing keep their place. */
const filledIn = (body, parameters) =>
  body.replace(/\{\{(\d+)\}\}/g, (place, number) => parameters[Number(number) - 1] || place);
