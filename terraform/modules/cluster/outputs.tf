output "name" {
  description = "The name of the cluster, for the node-pools and observability modules."
  value       = google_container_cluster.this.name
}

output "workload_pool" {
  description = "The workload identity pool, for the identities module, which binds Kubernetes service accounts once the pool exists."
  value       = google_container_cluster.this.workload_identity_config[0].workload_pool
}

output "credentials" {
  description = "The command that configures kubectl for the cluster."
  value       = "gcloud container clusters get-credentials ${google_container_cluster.this.name} --region=${var.region} --project=${var.gcp_project}"
}
