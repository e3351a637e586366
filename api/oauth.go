package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
	"github.com/clientele-api/clientele/internal/apiclients"
	"github.com/clientele-api/clientele/internal/sessions"
	"github.com/clientele-api/clientele/internal/tokens"
)

const noStore = "no-store"

// TokenCreate grants tokens.
func (s *Server) TokenCreate(ctx context.Context, request openapi.TokenCreateRequestObject) (openapi.TokenCreateResponseObject, error) {
	grant, err := s.grant(ctx, *request.Body)
	var refused *sessions.Error
	if errors.As(err, &refused) {
		return refusedGrant(refused), nil
	}
	if err != nil {
		return nil, err
	}
	return openapi.TokenCreate200JSONResponse{
		Body: openapi.TokenResponse{
			AccessToken: grant.AccessToken, TokenType: openapi.TokenResponseTokenTypeBearer,
			ExpiresIn: int32(grant.Expires.Seconds()), RefreshToken: grant.RefreshToken,
			RefreshTokenExpiresIn: int32(grant.RefreshExpires.Seconds()), Scope: tokens.JoinScopes(grant.Scopes),
		},
		Headers: openapi.TokenCreate200ResponseHeaders{CacheControl: noStore},
	}, nil
}

func (s *Server) grant(ctx context.Context, body openapi.TokenRequest) (sessions.Grant, error) {
	client, known := saidClient(ctx, body.ClientId, body.ClientSecret)
	if !known {
		return sessions.Grant{}, apiclients.ErrUnsaid()
	}
	if name := repeated(ctx); name != "" {
		return sessions.Grant{}, invalidRequest("The parameter " + name + " is there more than once.")
	}
	if !sessions.IsClient(client.ID) {
		return s.clientGrant(ctx, client, body)
	}
	// A parameter without a value counts as absent (RFC 6749, section 3.2).
	scope, username, password, refresh := orEmpty(body.Scope), orEmpty(body.Username), orEmpty(body.Password), orEmpty(body.RefreshToken)
	switch body.GrantType {
	case "password":
		if username == "" || password == "" {
			return sessions.Grant{}, invalidRequest("The parameters username and password are needed.")
		}
		return s.sessions.SignIn(ctx, sessions.SignIn{
			Client: client.ID, Email: username, Password: password, Scope: scope,
			UserAgent: requestOf(ctx).http.UserAgent(), Address: requestOf(ctx).address,
		})
	case "refresh_token":
		if refresh == "" {
			return sessions.Grant{}, invalidRequest("The parameter refresh_token is needed.")
		}
		return s.sessions.Refresh(ctx, client.ID, refresh, scope)
	case clientCredentials:
		return sessions.Grant{}, unauthorizedClient("People sign in through " + client.ID + "; programs have a client of their own.")
	}
	return sessions.Grant{}, noGrantType(body.GrantType)
}

// clientGrant gives a program a token. Who it is is judged first, as RFC 6749, section 5.2, has it.
func (s *Server) clientGrant(ctx context.Context, client apiclients.Credentials, body openapi.TokenRequest) (sessions.Grant, error) {
	if body.GrantType == clientCredentials {
		return s.clients.Grant(ctx, client, orEmpty(body.Scope))
	}
	if _, err := s.clients.Authenticate(ctx, client); err != nil {
		return sessions.Grant{}, err
	}
	switch body.GrantType {
	case "password", "refresh_token":
		return sessions.Grant{}, unauthorizedClient("An API client gets tokens with grant_type=client_credentials.")
	}
	return sessions.Grant{}, noGrantType(body.GrantType)
}

const clientCredentials = "client_credentials"

func noGrantType(said string) error {
	if said == "" {
		return invalidRequest("The parameter grant_type is needed.")
	}
	return &sessions.Error{
		Code: "unsupported_grant_type", Description: "The grant types are password, refresh_token and client_credentials.",
	}
}

func unauthorizedClient(description string) error {
	return &sessions.Error{Code: "unauthorized_client", Description: description}
}

func refusedGrant(refused *sessions.Error) openapi.TokenCreateResponseObject {
	body := toOAuthError(refused.Code, refused.Description)
	if refused.Code == invalidClient {
		return openapi.TokenCreate401JSONResponse{
			Body: body,
			Headers: openapi.TokenCreate401ResponseHeaders{
				CacheControl: noStore, WWWAuthenticate: basicChallenge,
			},
		}
	}
	return openapi.TokenCreate400JSONResponse{
		Body: body, Headers: openapi.TokenCreate400ResponseHeaders{CacheControl: noStore},
	}
}

// TokenRevoke ends the session of a token.
func (s *Server) TokenRevoke(ctx context.Context, request openapi.TokenRevokeRequestObject) (openapi.TokenRevokeResponseObject, error) {
	err := s.revoke(ctx, *request.Body)
	var refused *sessions.Error
	if !errors.As(err, &refused) {
		return openapi.TokenRevoke200JSONResponse{}, err
	}
	body := toOAuthError(refused.Code, refused.Description)
	if refused.Code == invalidClient {
		return openapi.TokenRevoke401JSONResponse{
			Body: body, Headers: openapi.TokenRevoke401ResponseHeaders{WWWAuthenticate: basicChallenge},
		}, nil
	}
	return openapi.TokenRevoke400JSONResponse(body), nil
}

func (s *Server) revoke(ctx context.Context, body openapi.RevocationRequest) error {
	client, known := saidClient(ctx, body.ClientId, body.ClientSecret)
	if !known {
		return apiclients.ErrUnsaid()
	}
	if name := repeated(ctx); name != "" {
		return invalidRequest("The parameter " + name + " is there more than once.")
	}
	if body.Token == "" {
		return invalidRequest("The parameter token is missing.")
	}
	if sessions.IsClient(client.ID) {
		return s.sessions.Revoke(ctx, body.Token)
	}
	found, err := s.clients.Authenticate(ctx, client)
	if err != nil {
		return err
	}
	return s.sessions.RevokeOfClient(ctx, found.ID, body.Token)
}

const (
	basicChallenge = `Basic realm="clientele"`
	invalidClient  = "invalid_client" // the code that is answered with 401
)

func invalidRequest(description string) error {
	return &sessions.Error{Code: "invalid_request", Description: description}
}

// basicCredentials gives what is sent by HTTP Basic. Before it is put together there it is encoded as in a form, and some
// libraries escape more than others (RFC 6749, section 2.3.1). What is encoded badly is somebody else's.
func basicCredentials(r *http.Request) (user, password string, found bool) {
	user, password, found = r.BasicAuth()
	for _, text := range []*string{&user, &password} {
		if decoded, err := url.QueryUnescape(*text); err == nil {
			*text = decoded
		}
	}
	return user, password, found
}

// saidClient gives the client that a caller says to be, in the form or by HTTP Basic, and its secret. It is not known when
// the two contradict each other, nor when a public client comes with a secret, which it has not.
func saidClient(ctx context.Context, formID, formSecret *string) (client apiclients.Credentials, known bool) {
	client = apiclients.Credentials{ID: orEmpty(formID), Secret: orEmpty(formSecret), Address: requestOf(ctx).address}
	if user, password, found := basicCredentials(requestOf(ctx).http); found {
		if client.ID != "" && client.ID != user || client.Secret != "" && client.Secret != password {
			return client, false
		}
		client.ID, client.Secret = user, password
	}
	return client, client.ID != "" && (!sessions.IsClient(client.ID) || client.Secret == "")
}

// formParameters are the parameters of RFC 6749 and RFC 7009 that are known here. Others are ignored, however often
// they are there.
var formParameters = []string{
	"grant_type", "client_id", "client_secret", "username", "password", "refresh_token", "scope", "token", "token_type_hint",
}

// repeated names a parameter that is there more than once, which RFC 6749, section 3.2, refuses; "" for none.
func repeated(ctx context.Context) string {
	form := requestOf(ctx).http.PostForm
	for _, name := range formParameters {
		if len(form[name]) > 1 {
			return name
		}
	}
	return ""
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func orDefault(text *string, fallback string) string {
	if text == nil {
		return fallback
	}
	return *text
}

// AuthorizationServerMetadataGet tells where signing in happens.
func (s *Server) AuthorizationServerMetadataGet(
	context.Context, openapi.AuthorizationServerMetadataGetRequestObject,
) (openapi.AuthorizationServerMetadataGetResponseObject, error) {
	issuer := s.authority.Issuer()
	return openapi.AuthorizationServerMetadataGet200JSONResponse{
		Issuer: issuer, TokenEndpoint: issuer + "/oauth/token", RevocationEndpoint: issuer + "/oauth/revoke",
		JwksUri:                                issuer + "/.well-known/jwks.json",
		ScopesSupported:                        convert(access.Scopes(), func(s access.Scope) string { return string(s) }),
		ResponseTypesSupported:                 []string{},
		GrantTypesSupported:                    []string{"password", "refresh_token", clientCredentials},
		TokenEndpointAuthMethodsSupported:      clientAuthentication(),
		RevocationEndpointAuthMethodsSupported: clientAuthentication(),
		ServiceDocumentation:                   issuer + "/docs",
	}, nil
}

// clientAuthentication gives how clients say who they are, as RFC 8414 names it: public ones not at all.
func clientAuthentication() []string {
	return []string{"none", "client_secret_basic", "client_secret_post"}
}

// JwksGet gives the keys that access tokens are signed with.
func (s *Server) JwksGet(ctx context.Context, _ openapi.JwksGetRequestObject) (openapi.JwksGetResponseObject, error) {
	keys, err := s.authority.PublicKeys(ctx)
	if err != nil {
		return nil, err
	}
	return openapi.JwksGet200JSONResponse{
		Body: openapi.JWKSet{Keys: convert(keys, func(key tokens.PublicKey) openapi.JWK {
			return openapi.JWK{Kty: "RSA", Use: "sig", Alg: "RS256", Kid: key.ID, N: key.Modulus, E: key.Exponent}
		})},
		Headers: openapi.JwksGet200ResponseHeaders{CacheControl: "no-cache"},
	}, nil
}
