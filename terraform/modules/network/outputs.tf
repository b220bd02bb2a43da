output "network" {
  description = "The ID of the network, for the cluster and dataflow modules."
  value       = google_compute_network.this.id
}

output "subnetwork" {
  description = "The ID of the nodes' subnetwork, for the cluster module."
  value       = google_compute_subnetwork.nodes.id
}

output "secondary_ranges" {
  description = "The names of the subnetwork's secondary ranges for pods and services, for the cluster module."
  value = {
    pods     = google_compute_subnetwork.nodes.secondary_ip_range[0].range_name
    services = google_compute_subnetwork.nodes.secondary_ip_range[1].range_name
  }
}

output "closed_tag" {
  description = "The network tag of nodes that can reach only Google APIs outside the network, for the node-pools and cluster modules."
  value       = var.closed_tag
}

output "google_range" {
  description = "The addresses that the names of Google APIs resolve to in this network, for the dataflow module's firewall rules."
  value       = local.google_range
}
