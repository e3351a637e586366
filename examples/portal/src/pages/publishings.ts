import { api } from "../api";
import type { components } from "../contract";
import { field, form, line, make, say } from "../dom";
import type { Page } from "../main";
import { mergePatch } from "../mergepatch";
import { must } from "../problem";

type Publishing = components["schemas"]["Publishing"];
type Patch = components["schemas"]["PublishingPatch"];

/** What one has written: a list, and below it what is being written or edited. */
export const publishings: Page = async () => {
  const editor = make("div", {});
  const list = make("ul", { class: "list" });
  const more = make("button", { type: "button", class: "quiet", hidden: true }, "Show more");
  let cursor: string | undefined;
  const load = async (anew: boolean): Promise<void> => {
    const { data } = await must(api.GET("/v1/portal/publishings", {
      params: { query: { sort: "-updated_at", limit: 20, ...(anew || cursor === undefined ? {} : { cursor }) } },
    }));
    if (anew) {
      list.replaceChildren();
    }
    list.append(...data.data.map(entry));
    if (list.children.length === 0) {
      list.append(make("li", { class: "soft" }, "Nothing yet."));
    }
    cursor = data.next_cursor ?? undefined;
    more.hidden = cursor === undefined;
  };
  const open = async (id: string): Promise<void> => {
    const { data, etag } = await must(api.GET("/v1/portal/publishings/{publishing_id}", { params: { path: { publishing_id: id } } }));
    editor.replaceChildren(await edit(data, etag, async (reopen) => {
      await load(true);
      if (reopen) {
        await open(id);
      } else {
        editor.replaceChildren();
      }
    }));
    editor.querySelector("h2")?.focus();
  };
  const attempt = (work: Promise<void>): void => {
    work.catch((failure: unknown) => say(failure instanceof Error ? failure.message : String(failure)));
  };
  const entry = (of: Publishing): HTMLElement => make("li", {},
    make("button", { type: "button", class: "quiet", click: () => attempt(open(of.id)) }, of.title),
    make("span", { class: "soft" }, of.kind), make("span", { class: `badge ${of.state}` }, of.state));
  const write = async (): Promise<void> => {
    editor.replaceChildren(await create(async (id) => {
      await load(true);
      await open(id);
      say("Saved as a draft.");
    }));
    editor.querySelector("h2")?.focus();
  };
  more.addEventListener("click", () => attempt(load(false)));
  await load(true);
  return make("section", { class: "card" }, make("h1", {}, "Publishings"),
    make("div", { class: "toolbar" }, make("button", { type: "button", click: () => attempt(write()) }, "Write something")),
    list, more, editor);
};

/** A form for something new, from nothing or from a template: one's own, or one that a colleague shares. */
async function create(created: (id: string) => Promise<void>): Promise<HTMLElement> {
  const pages = await Promise.all([false, true].map((shared) =>
    must(api.GET("/v1/portal/publishings", { params: { query: { kind: "template", shared, limit: 200 } } }))));
  const templates = pages.flatMap((page) => page.data.data);
  const choice = make("select", {}, make("option", { value: "" }, "None"),
    ...templates.map((one) => make("option", { value: one.id }, one.title)));
  const template = field("Start from a template", "/template_id", choice);
  const kind = line("Kind", "/kind", "post", {}, "post, request, template, or a kind of your own");
  const title = line("Title", "/title", null);
  const content = json("Content, as JSON", null, "With a template: what is different from it.");
  return make("div", {}, make("h2", { tabindex: "-1" }, "Something new"),
    form([template, kind, title, content], "Save", async () => {
      const text = content.input.value.trim();
      const { data } = await must(api.POST("/v1/portal/publishings", {
        body: {
          kind: kind.input.value.trim(),
          ...(title.input.value.trim() === "" ? {} : { title: title.input.value.trim() }),
          ...(text === "" ? {} : { content: parse(text) as Record<string, unknown> }),
          ...(choice.value === "" ? {} : { template_id: choice.value }),
        },
      }));
      await created(data.id);
    }));
}

/** A form for what is there, what may be done with it, and who of the staff has read it. */
async function edit(of: Publishing, etag: string, changed: (reopen: boolean) => Promise<void>): Promise<HTMLElement> {
  const path = { publishing_id: of.id };
  const header = { "If-Match": etag };
  const patch = async (body: Patch, done: string): Promise<void> => {
    await must(api.PATCH("/v1/portal/publishings/{publishing_id}", { params: { path, header }, body }));
    await changed(true);
    say(done);
  };
  const step = (text: string, work: () => Promise<void>, style = "quiet"): HTMLElement => make("button", {
    type: "button", class: style,
    click: () => void work().catch((failure: unknown) => say(failure instanceof Error ? failure.message : String(failure))),
  }, text);
  const steps = {
    draft: [step("Submit", () => patch({ state: "submitted" }, "Submitted.")), step("Archive", () => patch({ state: "archived" }, "Archived."))],
    submitted: [step("Back to draft", () => patch({ state: "draft" }, "A draft again.")), step("Archive", () => patch({ state: "archived" }, "Archived."))],
    archived: [step("Back to draft", () => patch({ state: "draft" }, "A draft again."))],
  }[of.state];
  const remove = step("Delete", async () => {
    if (confirm(`Delete “${of.title}” for good?`)) {
      await must(api.DELETE("/v1/portal/publishings/{publishing_id}", { params: { path, header } }));
      await changed(false);
      say("Deleted.");
    }
  }, "bad");
  const share = step(of.visibility === "private" ? "Share with colleagues" : "Stop sharing",
    () => patch({ visibility: of.visibility === "private" ? "customer" : "private" }, "Saved."));
  const title = line("Title", "/title", of.title);
  const content = json("Content, as JSON", of.content);
  [title, content].forEach((one) => one.input.toggleAttribute("readonly", of.state !== "draft"));
  const save = form([title, content], "Save", async () => {
    const after = parse(content.input.value);
    await patch({
      ...(title.input.value.trim() === of.title ? {} : { title: title.input.value.trim() }),
      ...(JSON.stringify(after) === JSON.stringify(of.content) ? {}
        : { content: mergePatch(of.content, after) as Record<string, unknown> }),
    }, "Saved.");
  });
  save.querySelector("button")?.toggleAttribute("hidden", of.state !== "draft");
  return make("div", {}, make("h2", { tabindex: "-1" }, of.title, " ", make("span", { class: `badge ${of.state}` }, of.state)),
    save, make("div", { class: "actions" }, ...steps, share, remove), await readers(of));
}

async function readers(of: Publishing): Promise<HTMLElement> {
  const { data } = await must(api.GET("/v1/portal/publishings/{publishing_id}/accesses", { params: { path: { publishing_id: of.id } } }));
  if (data.data.length === 0) {
    return make("p", { class: "soft" }, "Nobody of the staff has read it.");
  }
  return make("div", {}, make("h3", {}, "Read by the staff"), make("ul", {},
    ...data.data.map((one) => make("li", {}, `${one.actor.name}, ${new Date(one.at).toLocaleString()}`))));
}

function json(label: string, value: unknown, hint?: string): ReturnType<typeof field> {
  const area = make("textarea", { rows: "8", class: "code", spellcheck: "false" });
  area.value = value === null || value === undefined ? "" : JSON.stringify(value, null, 2);
  return field(label, "/content", area, hint);
}

function parse(text: string): unknown {
  try {
    return text.trim() === "" ? null : (JSON.parse(text) as unknown);
  } catch {
    throw new Error("The content is not JSON.");
  }
}
