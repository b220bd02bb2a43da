# METADATA
# title: Projects apart
# description: What a project's folder may bring into the cluster, and under which standard its pods run.
package refeed.rules.projects

import data.refeed.lib.objects
import data.refeed.lib.refusals

# METADATA
# title: namespace-restricted
# description: The API server then refuses pods that no policy here has seen.
refuse contains refusals.refusal("namespace-restricted", objects.id(namespace), field, says) if {
	some namespace in objects.all
	namespace.kind == "Namespace"
	key := "pod-security.kubernetes.io/enforce"
	not objects.labels(namespace)[key] == "restricted"
	field := sprintf("metadata.labels[%s]", [key])
	says := "is not restricted: the API server would take pods that run as root; set it"
}

# METADATA
# title: app-project-bounded
# description: By a star Argo CD would let one project write into another.
refuse contains refusals.refusal("app-project-bounded", objects.id(project), path, says) if {
	some project in objects.all
	project.kind == "AppProject"
	walk(project.spec, [keys, value])
	keys[0] in {"sourceRepos", "destinations", "clusterResourceWhitelist", "namespaceResourceWhitelist"}
	is_string(value)
	contains(value, "*")
	path := objects.dotted(array.concat(["spec"], keys))
	says := sprintf("is %q: the project could reach what is not its own; name it", [value])
}
