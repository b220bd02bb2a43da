output "buckets" {
  description = "The names of the buckets by Refeed project, for the identities module and the installation file's `root`."
  value       = { for project, bucket in google_storage_bucket.root : project => bucket.name }
}
