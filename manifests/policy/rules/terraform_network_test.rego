package refeed.rules.terraform_network_test

import data.refeed.fixtures
import data.refeed.rules.terraform_network

names contains violation.rule if some violation in terraform_network.deny

test_nodes_private_allows if {
	every good in [
		["google_container_cluster", {"private_cluster_config": [{"enable_private_nodes": true}]}],
		["google_container_node_pool", {"network_config": []}],
		["google_container_node_pool", {"network_config": [{"enable_private_nodes": true}]}],
		["google_compute_instance", {"network_interface": [{"access_config": []}]}],
		["google_dataflow_flex_template_job", {"ip_configuration": "WORKER_IP_PRIVATE"}],
	] {
		count(names) == 0 with input as fixtures.plan(good[0], good[1])
	}
}

test_nodes_private_denies if {
	every wrong in [
		["google_container_cluster", {}],
		["google_container_cluster", {"private_cluster_config": [{"enable_private_nodes": false}]}],
		["google_container_node_pool", {"network_config": [{"enable_private_nodes": false}]}],
		["google_compute_instance", {"network_interface": [{"access_config": [{}]}]}],
		["google_dataflow_job", {"ip_configuration": "WORKER_IP_PUBLIC"}],
	] {
		names == {"nodes-private"} with input as fixtures.plan(wrong[0], wrong[1])
	}
}
