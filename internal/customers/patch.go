package customers

import (
	"encoding/json"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"

	"github.com/clientele-api/clientele/gen/db"
	"github.com/clientele-api/clientele/internal/fault"
	"github.com/clientele-api/clientele/internal/mergepatch"
	"github.com/clientele-api/clientele/internal/rawjson"
)

// The limits of a customer's properties.
const (
	maxPropertiesBytes = 64 * 1024
	maxPropertiesKeys  = 200
	maxPropertiesDepth = 8
)

// Patch is what to change of a customer (RFC 7396), by the names of the contract: what is not specified stays, null clears.
type Patch struct {
	Name       *string                            `json:"name"`
	Email      nullable.Nullable[string]          `json:"email"`
	Phone      nullable.Nullable[string]          `json:"phone"`
	Company    nullable.Nullable[string]          `json:"company"`
	Address    nullable.Nullable[string]          `json:"address"`
	Comments   nullable.Nullable[string]          `json:"comments"`
	Modules    nullable.Nullable[[]string]        `json:"modules"`
	Properties nullable.Nullable[json.RawMessage] `json:"properties"` // merged key by key
	ParentID   nullable.Nullable[uuid.UUID]       `json:"parent_id"`
	ExternalID nullable.Nullable[string]          `json:"external_id"`
	Locale     *string                            `json:"locale"`
}

// apply gives the record as the patch makes it.
func (p Patch) apply(customer db.Customer) (db.Customer, error) {
	if p.Name != nil {
		customer.Name = *p.Name
	}
	if p.Locale != nil {
		customer.Locale = *p.Locale
	}
	mergepatch.Set(&customer.Email, p.Email)
	mergepatch.Set(&customer.Phone, p.Phone)
	mergepatch.Set(&customer.Company, p.Company)
	mergepatch.Set(&customer.Address, p.Address)
	mergepatch.Set(&customer.Comments, p.Comments)
	mergepatch.Set(&customer.ParentID, p.ParentID)
	mergepatch.Set(&customer.ExternalID, p.ExternalID)
	if p.Modules.IsSpecified() {
		customer.Modules, _ = p.Modules.Get() // null empties
	}
	switch properties, err := p.Properties.Get(); {
	case p.Properties.IsNull():
		customer.Properties = nil
	case err == nil:
		if customer.Properties, err = mergeProperties(customer.Properties, properties); err != nil {
			return customer, err
		}
	}
	return customer, nil
}

// mergeProperties merges a patch into the properties and refuses an outcome beyond the limits.
func mergeProperties(properties, patch json.RawMessage) (json.RawMessage, error) {
	merged, err := mergepatch.Apply(properties, patch)
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(merged, &keys); err != nil {
		return nil, err
	}
	problem := ""
	switch {
	case len(merged) > maxPropertiesBytes:
		problem = "would have more than 64 KiB"
	case len(keys) > maxPropertiesKeys:
		problem = "would have more than 200 keys"
	case rawjson.Depth(merged) > maxPropertiesDepth:
		problem = "would be deeper than 8 levels"
	}
	if problem != "" {
		return nil, fault.InvalidBody(fault.Field{Pointer: "/properties", Code: "too_large", Message: problem})
	}
	return merged, nil
}
