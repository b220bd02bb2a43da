# METADATA
# title: Project isolation
# description: Limits the objects that a project's folder may create and the privileges of its pods.
package refeed.rules.projects

import data.refeed.lib.objects
import data.refeed.lib.violations

# METADATA
# title: namespace-restricted
# description: The API server then also rejects pods that these policies did not check.
deny contains violations.violation("namespace-restricted", objects.id(namespace), field, message) if {
	some namespace in objects.all
	namespace.kind == "Namespace"
	key := "pod-security.kubernetes.io/enforce"
	not objects.labels(namespace)[key] == "restricted"
	field := sprintf("metadata.labels[%s]", [key])
	message := "is not restricted, so the API server would admit pods that run as root. Set it."
}

# METADATA
# title: app-project-bounded
# description: With a wildcard, Argo CD would let one project write to another.
deny contains violations.violation("app-project-bounded", objects.id(project), path, message) if {
	some project in objects.all
	project.kind == "AppProject"
	walk(project.spec, [keys, value])
	keys[0] in {"sourceRepos", "destinations", "clusterResourceWhitelist", "namespaceResourceWhitelist"}
	is_string(value)
	contains(value, "*")
	path := objects.dotted(array.concat(["spec"], keys))
	message := sprintf("is %q, so the project could reach other projects' objects. Name each one.", [value])
}
