# METADATA
# title: RBAC
# description: Roles list single permissions and are bound in one project.
package refeed.rules.rbac

import data.refeed.lib.objects
import data.refeed.lib.violations

# METADATA
# title: rbac-no-wildcard
# description: A wildcard includes permissions that future versions add.
deny contains violations.violation("rbac-no-wildcard", objects.id(role), field, message) if {
	some role in objects.all
	role.kind in {"Role", "ClusterRole"}
	some index, rule in role.rules
	some key in ["apiGroups", "resources", "verbs", "nonResourceURLs"]
	some value in rule[key]
	contains(value, "*")
	field := sprintf("rules[%d].%s", [index, key])
	message := sprintf("contains %q, which includes permissions that future versions add. List the permissions that are needed.", [value])
}

# METADATA
# title: rbac-no-escalation
# description: These verbs allow a subject to obtain the permissions of others.
deny contains violations.violation("rbac-no-escalation", objects.id(role), field, message) if {
	some role in objects.all
	role.kind in {"Role", "ClusterRole"}
	some index, rule in role.rules
	some verb in rule.verbs
	verb in {"escalate", "bind", "impersonate"}
	field := sprintf("rules[%d].verbs", [index])
	message := sprintf("contains %q, with which a subject can obtain any permission. Remove it.", [verb])
}

# METADATA
# title: rbac-cluster-binding
# description: A ClusterRoleBinding applies to every project.
deny contains violations.violation("rbac-cluster-binding", objects.id(binding), "roleRef.name", message) if {
	some binding in objects.all
	binding.kind == "ClusterRoleBinding"
	not data.policy.cluster_role_bindings[objects.name(binding)]
	message := sprintf(
		"is %q for the whole cluster, which includes every project. Use a RoleBinding, or add the binding to policy.cluster_role_bindings with a reason.",
		[binding.roleRef.name],
	)
}

# METADATA
# title: rbac-cluster-role
# description: A project may bind only the ClusterRoles made for it, not admin or edit.
deny contains violations.violation("rbac-cluster-role", objects.id(binding), "roleRef.name", message) if {
	some binding in objects.all
	binding.kind == "RoleBinding"
	binding.roleRef.kind == "ClusterRole"
	not data.policy.cluster_roles[binding.roleRef.name]
	message := sprintf(
		"is %q, which grants more than a project needs. Bind one of %v, or add the role to policy.cluster_roles with a reason.",
		[binding.roleRef.name, sort(object.keys(data.policy.cluster_roles))],
	)
}

# METADATA
# title: rbac-subject
# description: The account `default` and system groups include many identities, and accounts of other namespaces cross projects.
deny contains violations.violation("rbac-subject", objects.id(binding), field, message) if {
	some binding in objects.all
	binding.kind in {"RoleBinding", "ClusterRoleBinding"}
	some index, subject in binding.subjects
	why := unfit(binding, subject)
	field := sprintf("subjects[%d]", [index])
	message := sprintf("is %s %q, %s. Bind one service account of this namespace, or a group of people.", [subject.kind, subject.name, why])
}

unfit(binding, subject) := "which all pods of the namespace use" if {
	subject.kind == "ServiceAccount"
	subject.name == "default"
} else := "which includes every user or service account" if {
	regex.match(`^system:(anonymous|authenticated|unauthenticated|masters|serviceaccounts)`, subject.name)
} else := "which belongs to another namespace" if {
	subject.kind == "ServiceAccount"
	objects.namespace(binding) != ""
	object.get(subject, "namespace", "") != objects.namespace(binding)
}
