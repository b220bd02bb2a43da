package refeed.rules.projects_test

import data.refeed.fixtures
import data.refeed.rules.projects

names contains violation.rule if some violation in projects.deny

test_namespace_restricted_allows if count(names) == 0 with input as fixtures.namespace

test_namespace_restricted_denies if {
	path := "/metadata/labels/pod-security.kubernetes.io~1enforce"
	names == {"namespace-restricted"} with input as fixtures.without(fixtures.namespace, path)
	names == {"namespace-restricted"} with input as fixtures.changed(fixtures.namespace, path, "baseline")
}

test_app_project_bounded_allows if {
	count(names) == 0 with input as fixtures.app_project
	described := fixtures.changed(fixtures.app_project, "/spec/description", "all of *")
	count(names) == 0 with input as described
	application := fixtures.changed(fixtures.app_project, "/kind", "Application")
	count(names) == 0 with input as fixtures.changed(application, "/spec/sourceRepos", ["*"])
}

test_app_project_bounded_denies if {
	every wrong in [
		["/spec/sourceRepos/0", "*"],
		["/spec/destinations/0/namespace", "*"],
		["/spec/destinations/0/server", "*"],
		["/spec/destinations/0/namespace", "refeed-*"],
		["/spec/clusterResourceWhitelist", [{"group": "*", "kind": "Namespace"}]],
		["/spec/namespaceResourceWhitelist/0/kind", "*"],
	] {
		project := fixtures.changed(fixtures.app_project, wrong[0], wrong[1])
		names == {"app-project-bounded"} with input as project
	}
}
