# The policies of policies/*.cedar in Rego, for the row `decide_opa` of the speed table: the same
# actions, roles and wall between tenants, grants and tenants' own policies left out.
package holdfast

default allow := false

allow if {
	permitted
	not forbidden
}

pinning := {"createRequest", "listRequests", "readRequest", "replaceRequest", "deleteRequest"}

keys := {"createKey", "listKeys", "revokeKey"}

policies := {"readPolicies", "writePolicies", "grantAccess", "explainDecision"}

users := {"listUsers", "writeUsers"}

plugins := {"listPlugins", "readPlugin", "installPlugin", "switchPlugin"}

across_tenants := ((keys | policies) | users) | {
	"readUsage", "readQuote", "readTenant", "writeTenant", "readTenantAudit",
}

manage := {
	"createRequest", "replaceRequest", "deleteRequest", "createKey", "revokeKey", "writePolicies",
	"grantAccess", "writeUsers", "writeTenant", "installPlugin", "switchPlugin", "switchPolicies",
	"signAudit", "writePins", "driveWork",
}

has(role) if role in input.principal.roles

permitted if {
	has("tenant-user")
	input.action in {"createRequest", "listRequests", "readUsage", "readQuote"}
	input.resource.type == "Account"
	input.resource.id == input.principal.account
}

permitted if {
	has("tenant-user")
	input.action in pinning
	input.resource.type == "PinRequest"
	input.resource.account == input.principal.account
}

tenant_admins := (((pinning | keys) | policies) | users) | {
	"readUsage", "readQuote", "readTenant", "readTenantAudit",
}

permitted if {
	has("tenant-admin")
	input.action in tenant_admins
	input.resource.tenant == input.principal.tenant
}

permitted if {
	has("operator")
	input.action in across_tenants
}

permitted if {
	has("operator")
	input.action in (plugins | {"readAudit", "signAudit", "reviewPolicies", "switchPolicies"})
	input.resource.type == "Host"
}

permitted if {
	has("auditor")
	input.action in {"readAudit", "readTenantAudit", "readUsage", "listPlugins", "reviewPolicies"}
}

permitted if {
	has("cluster-node")
	input.action in {"readPins", "writePins"}
	input.resource.type == "Host"
}

permitted if {
	has("system")
	input.action in {"driveWork", "readPins"}
	input.resource.type == "Host"
}

forbidden if {
	input.resource.tenant != input.principal.tenant
	not staff
}

staff if {
	has("operator")
	input.action in across_tenants
}

staff if {
	has("auditor")
	input.action in {"readUsage", "readTenantAudit"}
}

forbidden if {
	has("auditor")
	input.action in manage
}

forbidden if {
	has("system")
	input.principal.proof != "internal"
}
