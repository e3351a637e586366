package api

import (
	"context"
	"errors"

	"github.com/clientele-api/clientele/gen/openapi"
	"github.com/clientele-api/clientele/internal/access"
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
			ExpiresIn: int32(tokens.Lifetime.Seconds()), RefreshToken: grant.RefreshToken,
			RefreshTokenExpiresIn: int32(grant.RefreshExpires.Seconds()), Scope: tokens.JoinScopes(grant.Scopes),
		},
		Headers: openapi.TokenCreate200ResponseHeaders{CacheControl: noStore},
	}, nil
}

func (s *Server) grant(ctx context.Context, body openapi.TokenRequest) (sessions.Grant, error) {
	client, known := knownClient(ctx, body.ClientId)
	if !known {
		return sessions.Grant{}, errUnknownClient
	}
	if name := repeated(ctx); name != "" {
		return sessions.Grant{}, invalidRequest("The parameter " + name + " is there more than once.")
	}
	// A parameter without a value counts as absent (RFC 6749, section 3.2).
	scope, username, password, refresh := orEmpty(body.Scope), orEmpty(body.Username), orEmpty(body.Password), orEmpty(body.RefreshToken)
	switch body.GrantType {
	case "password":
		if username == "" || password == "" {
			return sessions.Grant{}, invalidRequest("The parameters username and password are needed.")
		}
		return s.sessions.SignIn(ctx, sessions.SignIn{
			Client: client, Email: username, Password: password, Scope: scope,
			UserAgent: requestOf(ctx).http.UserAgent(), Address: requestOf(ctx).address,
		})
	case "refresh_token":
		if refresh == "" {
			return sessions.Grant{}, invalidRequest("The parameter refresh_token is needed.")
		}
		return s.sessions.Refresh(ctx, client, refresh, scope)
	case "":
		return sessions.Grant{}, invalidRequest("The parameter grant_type is needed.")
	}
	return sessions.Grant{}, &sessions.Error{
		Code: "unsupported_grant_type", Description: "The grant types are password and refresh_token.",
	}
}

func refusedGrant(refused *sessions.Error) openapi.TokenCreateResponseObject {
	body := openapi.OAuthError{Error: refused.Code, ErrorDescription: refused.Description}
	if refused.Code == errUnknownClient.Code {
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
	if _, known := knownClient(ctx, request.Body.ClientId); !known {
		return openapi.TokenRevoke401JSONResponse{
			Body:    openapi.OAuthError{Error: errUnknownClient.Code, ErrorDescription: errUnknownClient.Description},
			Headers: openapi.TokenRevoke401ResponseHeaders{WWWAuthenticate: basicChallenge},
		}, nil
	}
	if name := repeated(ctx); name != "" {
		return openapi.TokenRevoke400JSONResponse{
			Error: "invalid_request", ErrorDescription: "The parameter " + name + " is there more than once.",
		}, nil
	}
	if request.Body.Token == "" {
		return openapi.TokenRevoke400JSONResponse{
			Error: "invalid_request", ErrorDescription: "The parameter token is missing.",
		}, nil
	}
	if err := s.sessions.Revoke(ctx, request.Body.Token); err != nil {
		return nil, err
	}
	return openapi.TokenRevoke200JSONResponse{}, nil
}

const basicChallenge = `Basic realm="clientele"`

var errUnknownClient = &sessions.Error{Code: "invalid_client", Description: "The client is unknown; staff signs in with client_id=staff, customers with client_id=portal."}

func invalidRequest(description string) error {
	return &sessions.Error{Code: "invalid_request", Description: description}
}

// knownClient lets the public clients through, named in the form or as the user of HTTP Basic without a password, and
// tells which it is.
func knownClient(ctx context.Context, formClient *string) (string, bool) {
	client := orEmpty(formClient)
	if user, password, found := requestOf(ctx).http.BasicAuth(); found {
		if password != "" || client != "" && client != user {
			return "", false
		}
		client = user
	}
	return client, sessions.IsClient(client)
}

// formParameters are the parameters of RFC 6749 and RFC 7009 that are known here. Others are ignored, however often
// they are there.
var formParameters = []string{
	"grant_type", "client_id", "username", "password", "refresh_token", "scope", "token", "token_type_hint",
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
		GrantTypesSupported:                    []string{"password", "refresh_token"},
		TokenEndpointAuthMethodsSupported:      []string{"none"},
		RevocationEndpointAuthMethodsSupported: []string{"none"},
		ServiceDocumentation:                   issuer + "/docs",
	}, nil
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
