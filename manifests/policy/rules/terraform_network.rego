# METADATA
# title: No public addresses
# description: What has none cannot be reached from outside, whatever a firewall rule forgets.
package refeed.rules.terraform_network

import data.refeed.lib.plans
import data.refeed.lib.refusals

# METADATA
# title: nodes-private
# description: Nodes, machines and Dataflow's workers go out by NAT and Google's private access.
refuse contains refusals.refusal("nodes-private", cluster.object, field, says) if {
	some cluster in plans.resources
	cluster.type == "google_container_cluster"
	not cluster.after.private_cluster_config[0].enable_private_nodes == true
	field := "private_cluster_config[0].enable_private_nodes"
	says := "is not true: each node would have a public address; set it to true"
}

refuse contains refusals.refusal("nodes-private", pool.object, field, says) if {
	some pool in plans.resources
	pool.type == "google_container_node_pool"
	pool.after.network_config[index].enable_private_nodes == false
	field := sprintf("network_config[%d].enable_private_nodes", [index])
	says := "is false: each node of the pool would have a public address; leave it to the cluster, or set it to true"
}

refuse contains refusals.refusal("nodes-private", machine.object, field, says) if {
	some machine in plans.resources
	startswith(machine.type, "google_compute_")
	count(machine.after.network_interface[index].access_config) > 0
	field := sprintf("network_interface[%d].access_config", [index])
	says := "gives the machine a public address; leave it out"
}

refuse contains refusals.refusal("nodes-private", job.object, "ip_configuration", says) if {
	some job in plans.resources
	job.type in {"google_dataflow_job", "google_dataflow_flex_template_job"}
	not job.after.ip_configuration == "WORKER_IP_PRIVATE"
	says := "is not WORKER_IP_PRIVATE: workers would have public addresses; set it"
}
