output "buckets" {
  description = "Names of the buckets by Refeed project, for identities and the installation file's `root`."
  value       = { for project, bucket in google_storage_bucket.root : project => bucket.name }
}
