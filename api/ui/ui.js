"use strict";

const ui = SwaggerUIBundle({
  url: "/openapi.yaml", // its addresses are those of this page, whatever name of the installation it was opened by
  dom_id: "#ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  requestInterceptor: (request) => {
    // The contract's word for any type is the type of no file. Without it the browser names that of the file itself.
    if (request.headers?.["Content-Type"] === "*/*") {
      delete request.headers["Content-Type"];
    }
    return request;
  },
});

// Staff signs in through a public client: no secret to type.
ui.initOAuth({ clientId: "staff" });
