package domains

import (
	"context"
	"fmt"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/postgres"
)

// Restore writes domains of a customer that is being restored. No events are written: that of the customer stands for them.
func Restore(ctx context.Context, tx *postgres.Tx, restored []db.Domain) error {
	rows := make([]db.DomainRestoreParams, len(restored))
	for i, domain := range restored {
		if err := normalize(&domain); err != nil {
			return err
		}
		rows[i] = db.DomainRestoreParams{
			ID: domain.ID, CustomerID: domain.CustomerID, Host: domain.Host, HttpPorts: domain.HttpPorts, Scheme: domain.Scheme,
			Origin: domain.Origin, OriginPort: domain.OriginPort, CacheConfiguration: domain.CacheConfiguration,
			Redirection: domain.Redirection, SslExpiresAt: domain.SslExpiresAt, TlsProtocol: domain.TlsProtocol,
			WafConfiguration: domain.WafConfiguration, RestoredAt: &tx.Now, Version: domain.Version, CreatedAt: domain.CreatedAt,
			UpdatedAt: domain.UpdatedAt, SearchText: domain.SearchText,
		}
	}
	if _, err := db.New().DomainRestore(ctx, tx, rows); err != nil {
		return fmt.Errorf("restoring domains: %w", err)
	}
	return nil
}
