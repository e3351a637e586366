import { api } from "../api";
import { field, form, line, make, say, valueOf } from "../dom";
import type { Go, Page } from "../main";
import { must, Refused } from "../problem";

/** One's own name, and one's customer. */
export const profile: Page = async (go) => {
  const { data, etag } = await must(api.GET("/v1/portal/profile"));
  const { identity, customer } = data;
  const name = line("Your name", "/identity/name", identity.name, { autocomplete: "name" });
  const company = line("Name", "/customer/name", customer.name, { autocomplete: "organization" });
  const phone = line("Phone", "/customer/phone", customer.phone, { type: "tel", autocomplete: "tel" });
  const firm = line("Company", "/customer/company", customer.company);
  const area = make("textarea", { rows: "3", autocomplete: "street-address" });
  area.value = customer.address ?? "";
  const address = field("Address", "/customer/address", area);
  const save = async (): Promise<void> => {
    // Only what was changed is sent: others may edit the rest, and not everybody may edit the customer.
    const changed = {
      ...(valueOf(company) === customer.name ? {} : { name: company.input.value.trim() }),
      ...(valueOf(phone) === customer.phone ? {} : { phone: valueOf(phone) }),
      ...(valueOf(firm) === customer.company ? {} : { company: valueOf(firm) }),
      ...(valueOf(address) === customer.address ? {} : { address: valueOf(address) }),
    };
    try {
      await must(api.PATCH("/v1/portal/profile", {
        params: { header: { "If-Match": etag } },
        body: {
          ...(valueOf(name) === identity.name ? {} : { identity: { name: name.input.value.trim() } }),
          ...(Object.keys(changed).length === 0 ? {} : { customer: changed }),
        },
      }));
    } catch (failure) {
      if (failure instanceof Refused && failure.code === "stale_version") {
        throw new Error("Somebody else changed this meanwhile. Load the page again to see what it says now.");
      }
      throw failure;
    }
    await redraw(go);
    say("Saved.");
  };
  const edit = form([name, company, phone, firm, address], "Save", save);
  edit.querySelectorAll(".field")[1]?.before(make("h2", {}, "Customer"));
  return make("section", { class: "card" }, make("h1", {}, "Profile"),
    make("dl", {},
      make("dt", {}, "Signed in as"), make("dd", {}, `${identity.email} (${identity.role})`),
      make("dt", {}, "Status"), make("dd", {}, customer.status),
      make("dt", {}, "Terms"), make("dd", {}, customer.terms === null ? "not accepted"
        : `version ${customer.terms.version}, accepted on ${new Date(customer.terms.accepted_at).toLocaleDateString()}`),
      ...(customer.modules.length === 0 ? [] : [make("dt", {}, "Modules"), make("dd", {}, customer.modules.join(", "))])),
    edit);
};

async function redraw(go: Go): Promise<void> {
  const section = await profile(go);
  document.querySelector("main > section")?.replaceWith(section);
}
