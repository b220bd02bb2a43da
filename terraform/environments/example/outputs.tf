output "installation" {
  description = "The installation file for `refeed compile` and `refeed project add`. Write it with `terraform output -raw installation > installation.yaml`."
  value       = local.installation
}

output "platform" {
  description = "The values for the kustomizations of Argo and Argo CD, as YAML: Argo's namespace, service accounts and Google account, the registry mirrors, and the analyst groups by project."
  value = yamlencode({
    argo = {
      namespace        = var.argo.namespace
      service_accounts = var.argo.service_accounts
      identity         = module.identities.platform
    }
    mirrors  = module.registry.mirrors
    analysts = { for name, project in var.projects : name => project.analysts }
  })
}

output "image_prefix" {
  description = "The prefix of Refeed's image names. Build the images with `make images IMAGE_PREFIX=$(terraform output -raw image_prefix) IMAGE_TAG=...`."
  value       = module.registry.prefix
}

output "credentials" {
  description = "The command that configures kubectl for the cluster."
  value       = module.cluster.credentials
}

output "dashboard" {
  description = "The URL of the Google Cloud project's dashboards."
  value       = module.observability.dashboard
}
