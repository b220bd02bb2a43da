# METADATA
# title: No public addresses
# description: A machine without a public address cannot be reached from outside, even if a firewall rule is missing.
package refeed.rules.terraform_network

import data.refeed.lib.plans
import data.refeed.lib.violations

# METADATA
# title: nodes-private
# description: Nodes, machines and Dataflow workers use Cloud NAT and Private Google Access for egress.
deny contains violations.violation("nodes-private", cluster.object, field, message) if {
	some cluster in plans.resources
	cluster.type == "google_container_cluster"
	not cluster.after.private_cluster_config[0].enable_private_nodes == true
	field := "private_cluster_config[0].enable_private_nodes"
	message := "is not true, so each node would have a public address. Set it to true."
}

deny contains violations.violation("nodes-private", pool.object, field, message) if {
	some pool in plans.resources
	pool.type == "google_container_node_pool"
	pool.after.network_config[index].enable_private_nodes == false
	field := sprintf("network_config[%d].enable_private_nodes", [index])
	message := "is false, so each node of the pool would have a public address. Remove it to use the cluster's setting, or set it to true."
}

deny contains violations.violation("nodes-private", machine.object, field, message) if {
	some machine in plans.resources
	startswith(machine.type, "google_compute_")
	count(machine.after.network_interface[index].access_config) > 0
	field := sprintf("network_interface[%d].access_config", [index])
	message := "gives the machine a public address. Remove it."
}

deny contains violations.violation("nodes-private", job.object, "ip_configuration", message) if {
	some job in plans.resources
	job.type in {"google_dataflow_job", "google_dataflow_flex_template_job"}
	not job.after.ip_configuration == "WORKER_IP_PRIVATE"
	message := "is not WORKER_IP_PRIVATE, so workers would have public addresses. Set it."
}
