"use strict";

const ui = SwaggerUIBundle({
  url: "/openapi.yaml", // its addresses are those of this page, whatever name of the installation it was opened by
  dom_id: "#ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
});

// Staff signs in through a public client: no secret to type.
ui.initOAuth({ clientId: "staff" });
