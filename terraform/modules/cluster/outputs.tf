output "name" {
  description = "Name of the cluster, for node-pools and observability."
  value       = google_container_cluster.this.name
}

output "workload_pool" {
  description = "Workload identity pool, for identities: Kubernetes service accounts can be bound when it is there."
  value       = google_container_cluster.this.workload_identity_config[0].workload_pool
}

output "credentials" {
  description = "Command that lets kubectl reach the cluster."
  value       = "gcloud container clusters get-credentials ${google_container_cluster.this.name} --region=${var.region} --project=${var.gcp_project}"
}
