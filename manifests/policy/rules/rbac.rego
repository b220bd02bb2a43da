# METADATA
# title: Who may do what
# description: Rights are counted one by one, and given in one project.
package refeed.rules.rbac

import data.refeed.lib.objects
import data.refeed.lib.refusals

# METADATA
# title: rbac-no-wildcard
# description: A star also allows what the next version of a custom resource brings.
refuse contains refusals.refusal("rbac-no-wildcard", objects.id(role), field, says) if {
	some role in objects.all
	role.kind in {"Role", "ClusterRole"}
	some index, rule in role.rules
	some key in ["apiGroups", "resources", "verbs", "nonResourceURLs"]
	some value in rule[key]
	contains(value, "*")
	field := sprintf("rules[%d].%s", [index, key])
	says := sprintf("holds %q, which also allows what nobody thought of; name what is needed", [value])
}

# METADATA
# title: rbac-no-escalation
# description: These verbs give whatever rights somebody else has.
refuse contains refusals.refusal("rbac-no-escalation", objects.id(role), field, says) if {
	some role in objects.all
	role.kind in {"Role", "ClusterRole"}
	some index, rule in role.rules
	some verb in rule.verbs
	verb in {"escalate", "bind", "impersonate"}
	field := sprintf("rules[%d].verbs", [index])
	says := sprintf("holds %q, by which one takes any right; leave it out", [verb])
}

# METADATA
# title: rbac-cluster-binding
# description: Such a binding reaches every project.
refuse contains refusals.refusal("rbac-cluster-binding", objects.id(binding), "roleRef.name", says) if {
	some binding in objects.all
	binding.kind == "ClusterRoleBinding"
	not data.policy.cluster_role_bindings[objects.name(binding)]
	says := sprintf(
		"is %q for the whole cluster, every project included: use a RoleBinding, or say in policy.cluster_role_bindings why",
		[binding.roleRef.name],
	)
}

# METADATA
# title: rbac-cluster-role
# description: Of the cluster's roles a project gets those made for it, not admin or edit.
refuse contains refusals.refusal("rbac-cluster-role", objects.id(binding), "roleRef.name", says) if {
	some binding in objects.all
	binding.kind == "RoleBinding"
	binding.roleRef.kind == "ClusterRole"
	not data.policy.cluster_roles[binding.roleRef.name]
	says := sprintf(
		"is %q, more than a project needs: bind one of %v, or say in policy.cluster_roles why",
		[binding.roleRef.name, sort(object.keys(data.policy.cluster_roles))],
	)
}

# METADATA
# title: rbac-subject
# description: Rights of `default` or of a group of all are everybody's; those of another namespace cross projects.
refuse contains refusals.refusal("rbac-subject", objects.id(binding), field, says) if {
	some binding in objects.all
	binding.kind in {"RoleBinding", "ClusterRoleBinding"}
	some index, subject in binding.subjects
	why := unfit(binding, subject)
	field := sprintf("subjects[%d]", [index])
	says := sprintf("is %s %q, %s; name one service account of this namespace, or a group of people", [subject.kind, subject.name, why])
}

unfit(binding, subject) := "whom everybody in the namespace is" if {
	subject.kind == "ServiceAccount"
	subject.name == "default"
} else := "whom everybody is" if {
	regex.match(`^system:(anonymous|authenticated|unauthenticated|masters|serviceaccounts)`, subject.name)
} else := "of another namespace" if {
	subject.kind == "ServiceAccount"
	objects.namespace(binding) != ""
	object.get(subject, "namespace", "") != objects.namespace(binding)
}
