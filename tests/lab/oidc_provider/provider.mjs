// A certified OpenID Connect provider on loopback, for tests: `node provider.mjs MODULES SETTINGS`.
// The people, and the faults that a test wants, are read anew for every request: a test changes the file.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { pathToFileURL } from "node:url";

const [, , modules, settingsFile] = process.argv;
const require = createRequire(`${modules}/`);
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);
const { default: Provider } = await load("oidc-provider");
const { SignJWT, importJWK, exportJWK, generateKeyPair, decodeJwt } = await load("jose");

const settings = JSON.parse(readFileSync(settingsFile, "utf8"));
const state = () => JSON.parse(readFileSync(settings.state, "utf8"));

// As Keycloak: a realm's addresses, its Admin API at the same origin (a double that runs elsewhere), and its ways.
const keycloak = Boolean(settings.admin);
const base = new URL(settings.issuer).pathname.replace(/\/$/, "");
const named = (name) => `/protocol/openid-connect/${name}`;
const routes = keycloak ? { authorization: named("auth"), token: named("token"), userinfo: named("userinfo"), jwks: named("certs"), end_session: named("logout") } : {};
const at = { userinfo: routes.userinfo ?? "/me", token: routes.token ?? "/token" };

const key = { ...(await exportJWK((await generateKeyPair("RS256", { extractable: true })).privateKey)), kid: "real", alg: "RS256", use: "sig" };
const otherKey = (await generateKeyPair("RS256", { extractable: true })).privateKey;

const provider = new Provider(settings.issuer, {
  clients: [{
    client_id: settings.client_id,
    client_secret: settings.client_secret,
    redirect_uris: [settings.redirect_uri],
    post_logout_redirect_uris: settings.post_logout_redirect_uris,
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "client_secret_post",
  }],
  jwks: { keys: [key] },
  cookies: { keys: ["for tests alone"] },
  routes,
  claims: { openid: keycloak ? ["sub", "groups"] : ["sub"], email: ["email", "email_verified", "hd"], profile: ["name"], groups: ["groups"] },
  scopes: ["openid", "email", "profile", "groups", "offline_access"],
  features: { devInteractions: { enabled: true }, revocation: { enabled: true } },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ...(keycloak ? { issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token") } : {}),
  ttl: { AccessToken: settings.access_token_seconds, IdToken: 600, AuthorizationCode: 60, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600 },
  async findAccount(_ctx, id) {
    const claims = state().people[id];
    if (claims?.enabled === false) return undefined;
    if (keycloak && claims?.groups?.length === 0) delete claims.groups; // since version 22
    return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
  },
});

provider.use(async (ctx, next) => {
  const { faults = {} } = state();
  if (faults.down && !ctx.path.startsWith("/interaction")) { ctx.status = 503; ctx.body = "down"; return; }
  if (faults.userinfo && ctx.path === at.userinfo) { ctx.status = faults.userinfo; ctx.body = { error: faults.userinfo_error ?? "invalid_token" }; return; }
  if (faults.token_error && ctx.path === at.token) { ctx.status = faults.token_error.status; ctx.body = { error: faults.token_error.error }; return; }
  await next();
  if (keycloak && ctx.path === at.userinfo && ctx.status >= 400) { const { status } = ctx; ctx.body = ""; ctx.status = status; } // it says why in WWW-Authenticate alone
  if (ctx.path === at.userinfo && ctx.status === 200 && faults.userinfo_claims) ctx.body = { ...ctx.body, ...faults.userinfo_claims };
  if (ctx.path === at.token && ctx.status === 200 && ctx.body?.id_token && faults.id_token) {
    ctx.body = { ...ctx.body, id_token: await forged(ctx.body.id_token, faults.id_token) };
  }
});

// The token with other claims, signed as the fault says: with the provider's own key unless it names another way.
async function forged(token, { claims = {}, signature = "real" }) {
  const content = { ...decodeJwt(token), ...claims };
  for (const name of Object.keys(content)) if (content[name] === null) delete content[name];
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  if (signature === "none") return `${part({ alg: "none" })}.${part(content)}.`;
  if (signature === "secret") {
    return new SignJWT(content).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(settings.client_secret));
  }
  const header = { alg: "RS256", kid: signature === "unknown" ? "unknown" : "real" };
  return new SignJWT(content).setProtectedHeader(header).sign(signature === "real" ? await importJWK(key, "RS256") : otherKey);
}

// The Admin API, and tokens for it: people's own are asked for with the client's secret in the form.
function forward(incoming, answer) {
  const options = { method: incoming.method, headers: incoming.headers };
  const outgoing = request(`${settings.admin}${incoming.url}`, options, (found) => {
    answer.writeHead(found.statusCode, found.headers);
    found.pipe(answer);
  });
  outgoing.on("error", () => answer.destroy());
  incoming.pipe(outgoing);
}

const callback = provider.callback();
createServer((incoming, answer) => {
  const { url, headers } = incoming;
  if (keycloak && (url.startsWith("/admin/") || (url === base + at.token && headers.authorization?.startsWith("Basic ")))) {
    forward(incoming, answer);
    return;
  }
  incoming.originalUrl = url;
  incoming.url = url.startsWith(`${base}/`) ? url.slice(base.length) : url;
  callback(incoming, answer);
}).listen(settings.port, "127.0.0.1", () => console.log("listening"));
