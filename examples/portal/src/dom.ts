// The little that is needed to put elements together. Text is always text, never markup.

import { Refused } from "./problem";

type Child = Node | string | undefined;
type Attributes = Record<string, string | boolean | ((event: Event) => void)>;

/** Makes an element. An attribute that is a function listens to the event of its name. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else if (typeof value === "boolean") {
      element.toggleAttribute(name, value);
    } else {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

let silence: ReturnType<typeof setTimeout> | undefined;

/** Says something for a while, also to those who listen to the page. */
export function say(text: string): void {
  clearTimeout(silence);
  if (text !== "") {
    silence = setTimeout(() => say(""), 8000);
  }
  const status = document.getElementById("status");
  if (status !== null) {
    status.textContent = text;
  }
}

/** A field of a form, with its label and a place for what is wrong with it. */
export interface Field {
  row: HTMLElement;
  input: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;
  /** Where the API finds fault with it. */
  pointer: string;
}

let fields = 0;

/** Puts a label and a place for a fault to an input. */
export function field(label: string, pointer: string, input: Field["input"], hint?: string): Field {
  const id = `field-${++fields}`;
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-fault`);
  const row = make("div", { class: "field" },
    make("label", { for: id }, label), input,
    hint === undefined ? undefined : make("small", {}, hint),
    make("p", { class: "fault", id: `${id}-fault` }));
  return { row, input, pointer };
}

/** A field of one line. */
export function line(label: string, pointer: string, value: string | null, attributes: Attributes = {}, hint?: string): Field {
  const input = make("input", { type: "text", ...attributes });
  input.value = value ?? "";
  return field(label, pointer, input, hint);
}

/** A form that sends once at a time, and shows faults where they are. */
export function form(given: Field[], button: string, send: () => Promise<void>, ...extra: Child[]): HTMLFormElement {
  const general = make("p", { class: "fault", role: "alert" });
  const submit = make("button", { type: "submit" }, button);
  const show = (where: Field, text: string): void => {
    const place = where.row.querySelector(".fault");
    if (place !== null) {
      place.textContent = text;
    }
    where.input.setAttribute("aria-invalid", String(text !== ""));
  };
  const submitted = async (event: Event): Promise<void> => {
    event.preventDefault();
    given.forEach((one) => show(one, ""));
    general.textContent = "";
    say("");
    submit.disabled = true;
    try {
      await send();
    } catch (failure) {
      const faults = failure instanceof Refused ? (failure.problem.errors ?? []) : [];
      let placed = false;
      for (const fault of faults) {
        const where = given.find((one) => one.pointer === fault.pointer);
        if (where !== undefined) {
          show(where, `It ${fault.message}.`);
          placed = true;
        }
      }
      if (!placed) {
        general.textContent = failure instanceof Error ? failure.message : String(failure);
      }
      given.find((one) => one.input.getAttribute("aria-invalid") === "true")?.input.focus();
    } finally {
      submit.disabled = false;
    }
  };
  return make("form", { novalidate: true, submit: (event) => void submitted(event) },
    ...given.map((one) => one.row), general, make("div", { class: "actions" }, submit, ...extra));
}

/** The value of a field; null for nothing. */
export function valueOf(of: Field): string | null {
  const value = of.input.value.trim();
  return value === "" ? null : value;
}
