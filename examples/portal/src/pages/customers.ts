import { api } from "../api";
import type { components } from "../contract";
import { form, line, make, say, valueOf } from "../dom";
import type { Page } from "../main";
import { must } from "../problem";

type Customer = components["schemas"]["ManagedCustomer"];

/** The customers below one's own, for managers: search, add, edit, invite, download domains. */
export const customers: Page = async () => {
  const rows = make("tbody", {});
  const count = make("p", { class: "count", role: "status" });
  const more = make("button", { type: "button", class: "quiet", hidden: true }, "Show more");
  const search = make("input", { type: "search", "aria-label": "Search", placeholder: "Search name, email, company, phone" });
  let cursor: string | undefined;
  let asked = 0;

  const load = async (anew: boolean): Promise<void> => {
    const turn = ++asked;
    const q = search.value.trim();
    const { data } = await must(api.GET("/v1/portal/customers", {
      params: { query: {
        include_total: true, limit: 20,
        ...(q === "" ? {} : { q }),
        ...(anew || cursor === undefined ? {} : { cursor }),
      } },
    }));
    if (turn !== asked) {
      return; // something else was looked for meanwhile
    }
    if (anew) {
      rows.replaceChildren();
    }
    rows.append(...data.data.map((customer) => row(customer, () => load(true))));
    count.textContent = data.total === 1 ? "1 customer" : `${data.total ?? 0} customers`;
    cursor = data.next_cursor ?? undefined;
    more.hidden = cursor === undefined;
  };
  const attempt = (work: Promise<void>): void => {
    work.catch((failure: unknown) => say(failure instanceof Error ? failure.message : String(failure)));
  };
  more.addEventListener("click", () => attempt(load(false)));
  let typing: ReturnType<typeof setTimeout> | undefined;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => attempt(load(true)), 250);
  });
  await load(true);

  const name = line("Name", "/name", null);
  const email = line("Email address", "/email", null, { type: "email" }, "Where the invitation goes.");
  const phone = line("Phone", "/phone", null, { type: "tel" });
  const add = form([name, email, phone], "Add customer", async () => {
    await must(api.POST("/v1/portal/customers", {
      body: { name: name.input.value.trim(), email: valueOf(email), phone: valueOf(phone) },
    }));
    [name, email, phone].forEach((one) => (one.input.value = ""));
    await load(true);
    say("The customer is added.");
  });
  return make("section", { class: "card" }, make("h1", {}, "Customers"),
    make("div", { class: "toolbar" }, search, count),
    make("div", { class: "scroll" }, make("table", {},
      make("thead", {}, make("tr", {}, ...["Name", "Email", "Phone", "Status", "Actions"].map((title) => make("th", { scope: "col" }, title)))),
      rows)),
    more, make("details", {}, make("summary", {}, "Add a customer"), add));
};

function row(customer: Customer, changed: () => Promise<void>): HTMLTableRowElement {
  const phone = make("input", { type: "tel", "aria-label": `Phone of ${customer.name}` });
  phone.value = customer.phone ?? "";
  const path = { customer_id: customer.id };
  const acting = (work: () => Promise<string>) => (): void => {
    void work().then(say, (failure: unknown) => say(failure instanceof Error ? failure.message : String(failure)));
  };
  const save = acting(async () => {
    // The version of the entity tag is all that is compared.
    await must(api.PATCH("/v1/portal/customers/{customer_id}", {
      params: { path, header: { "If-Match": `"${customer.version}"` } }, body: { phone: phone.value.trim() || null },
    }));
    await changed();
    return "Saved.";
  });
  const invite = acting(async () => {
    const { data } = await must(api.POST("/v1/portal/customers/{customer_id}/activation-requests", { params: { path } }));
    return data.state === "queued" ? "The invitation is on its way." : "The invitation waits for the staff, who will send it.";
  });
  const download = acting(async () => {
    const { data } = await must(api.GET("/v1/portal/customers/{customer_id}/domains.csv", {
      params: { path, query: { include_descendants: true } }, parseAs: "blob",
    }));
    const url = URL.createObjectURL(data as unknown as Blob);
    make("a", { href: url, download: `${customer.name} domains.csv` }).click();
    URL.revokeObjectURL(url);
    return "Downloaded.";
  });
  const button = (text: string, click: () => void): HTMLButtonElement =>
    make("button", { type: "button", class: "quiet", "aria-label": `${text}: ${customer.name}`, click }, text);
  return make("tr", {}, make("th", { scope: "row" }, customer.name), make("td", {}, customer.email ?? "–"), make("td", {}, phone),
    make("td", {}, make("span", { class: `badge ${customer.status}` }, customer.status)),
    make("td", {}, make("div", { class: "actions" }, button("Save", save),
      customer.status === "unregistered" || customer.status === "inactive" ? button("Invite", invite) : undefined,
      button("Domains", download))));
}
