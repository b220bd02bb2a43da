output "network" {
  description = "Id of the network, for cluster and dataflow."
  value       = google_compute_network.this.id
}

output "subnetwork" {
  description = "Id of the nodes' subnetwork, for cluster."
  value       = google_compute_subnetwork.nodes.id
}

output "secondary_ranges" {
  description = "Names of the subnetwork's ranges for pods and services, for cluster."
  value = {
    pods     = google_compute_subnetwork.nodes.secondary_ip_range[0].range_name
    services = google_compute_subnetwork.nodes.secondary_ip_range[1].range_name
  }
}

output "closed_tag" {
  description = "Network tag of nodes that reach Google's APIs and nothing else outside, for node-pools and cluster."
  value       = var.closed_tag
}

output "google_range" {
  description = "Addresses that names of Google's APIs resolve to here, for the firewall of dataflow."
  value       = local.google_range
}
